import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { html } from '@bankside/service-kit/html'
import { assets } from './assets.ts'
import { states } from './gallery-states.ts'

/**
 * Writes every page in every state into a folder, to be opened without any server: `node sandbox/run.mjs consent-ui/gallery.ts <folder>`, then `index.html`.
 * `acceptance/browser/photograph.ts` takes pictures of them.
 */
function writeGallery(folder: string): void {
  mkdirSync(path.join(folder, 'assets'), { recursive: true })
  for (const { href, body } of assets.values()) writeFileSync(path.join(folder, href), body)
  for (const [name, page] of Object.entries(states)) writeFileSync(path.join(folder, `${name}.html`), withoutServer(String(page())))
  writeFileSync(path.join(folder, 'index.html'), String(contents()))
}

const withoutServer = (page: string): string => page.replaceAll('href="/assets/', 'href="assets/')

const contents = () => html`<!doctype html>
<html lang="en-GB">
  <head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Pages of Bankside</title></head>
  <body><h1>Pages of Bankside</h1><ul>${Object.keys(states).map((name) => html`<li><a href="${name}.html">${name}</a></li>`)}</ul></body>
</html>
`

const folder = process.argv[2]
if (folder) writeGallery(path.resolve(folder))
else {
  console.error('Say which folder to write to: node sandbox/run.mjs consent-ui/gallery.ts <folder>')
  process.exitCode = 2
}
