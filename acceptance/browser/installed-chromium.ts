import { existsSync } from 'node:fs'
import type { Chromium } from './launch-browser.ts'

const usualPlaces = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
]

/** A Chrome or Chromium that somebody installed, if there is one in a usual place. */
export function installedChromium(): Chromium | undefined {
  const executablePath = usualPlaces.find((path) => existsSync(path))
  return executablePath === undefined ? undefined : { executablePath, environment: {} }
}
