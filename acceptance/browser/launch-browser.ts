import { type Browser, chromium } from 'playwright-core'
import { bundledChromium } from './bundled-chromium.ts'
import { installedChromium } from './installed-chromium.ts'

/** Where a Chromium is, and what it needs in its environment to start. */
export type Chromium = { readonly executablePath: string; readonly environment: Readonly<Record<string, string>> }

/**
 * Starts Chromium, headless. `CHROME_PATH` decides if it is set; otherwise the one out of the npm package, which needs nothing installed, or one that is
 * installed where the package has none (macOS, Windows, arm64). The browser's own sandbox is off, because root and many containers cannot have it:
 * open pages of ours only.
 *
 * @throws {Error} No Chromium at all; the message says what to do.
 */
export async function launchBrowser(): Promise<Browser> {
  const { executablePath, environment } = await findChromium()
  return chromium.launch({ executablePath, args: quietly, env: { ...inherited(), ...environment }, headless: true })
}

// No sound from the network that the page did not ask for, and the same letters on every machine.
const quietly = [
  '--no-sandbox',
  '--no-zygote',
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-domain-reliability',
  '--font-render-hinting=none',
]

let found: Promise<Chromium> | undefined
const findChromium = (): Promise<Chromium> => (found ??= lookForChromium())

async function lookForChromium(): Promise<Chromium> {
  // Nothing of ours may be imported here, so the environment is read where it is used.
  const chosen = process.env['CHROME_PATH']
  if (chosen) return { executablePath: chosen, environment: {} }
  const chromium = (await bundledChromium()) ?? installedChromium()
  if (chromium) return chromium
  throw new Error('No Chromium found. Install Chrome or Chromium, or set CHROME_PATH to the program.')
}

function inherited(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
