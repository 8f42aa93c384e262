import { mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { launchBrowser } from './launch-browser.ts'

const sizes = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 900 } } as const
const schemes = ['light', 'dark'] as const

/**
 * Takes a picture of every .html file of a folder, on a phone and on a desk, in light and in dark:
 * `node sandbox/run.mjs acceptance/browser/photograph.ts <folder with pages> <folder for pictures> [part of a name]`.
 */
async function photograph(pages: string, pictures: string, part: string): Promise<void> {
  mkdirSync(pictures, { recursive: true })
  const files = readdirSync(pages).filter((file) => file.endsWith('.html') && file.includes(part))
  const browser = await launchBrowser()
  try {
    for (const [size, viewport] of Object.entries(sizes))
      for (const colorScheme of schemes) {
        const page = await browser.newPage({ viewport, colorScheme })
        for (const file of files) {
          await page.goto(pathToFileURL(path.resolve(pages, file)).href)
          await page.screenshot({ path: path.join(pictures, `${path.basename(file, '.html')}.${size}.${colorScheme}.png`), fullPage: true })
        }
        await page.close()
      }
  } finally {
    await browser.close()
  }
}

const [pages, pictures, part = ''] = process.argv.slice(2)
if (pages && pictures) await photograph(pages, pictures, part)
else {
  console.error('Say which folder to read and which to write: acceptance/browser/photograph.ts <pages> <pictures> [part of a name]')
  process.exitCode = 2
}
