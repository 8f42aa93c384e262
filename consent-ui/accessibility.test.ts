import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
// Only tests here may import from acceptance, and only the browser.
import { launchBrowser } from '@bankside/acceptance/browser/launch-browser'
import type { Browser, Page } from 'playwright-core'
import { states } from './gallery-states.ts'
import { type StatesServer, serveStates } from './testing/serve-states.ts'

type Violation = { id: string; help: string; nodes: { html: string; failureSummary: string }[] }

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
const everyRule = { runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] } }
const contrastOnly = { runOnly: { type: 'rule', values: ['color-contrast'] } }

let server: StatesServer
let browser: Browser
let page: Page
const complaints: string[] = []

before(async () => {
  server = await serveStates()
  browser = await launchBrowser()
  // Without motion the colours of the other scheme are there at once.
  page = await browser.newPage({ viewport: { width: 360, height: 740 }, reducedMotion: 'reduce' })
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
})
after(async () => {
  await browser.close()
  server.close()
})

// What a name is made of changes nothing that axe looks at: markup and another direction stand for the rest.
const seenByAxe = Object.keys(states).filter((name) => !/^hostile-.*-(endless|wordy|override|emoji)$/.test(name))

for (const name of seenByAxe)
  test(`A11Y-02 A11Y-08 CX-18 ${name}: axe finds nothing, in light and in dark, and the content security policy blocks nothing`, async () => {
    complaints.length = 0
    await page.emulateMedia({ colorScheme: 'light' })
    await page.goto(`${server.origin}/${name}`)
    await page.evaluate(`document.querySelectorAll('details').forEach((each) => { each.open = true })`)
    await page.evaluate(axe)
    assert.deepEqual(await violations(everyRule), [])
    await page.emulateMedia({ colorScheme: 'dark' })
    assert.deepEqual(await violations(contrastOnly), [])
    assert.deepEqual(complaints, [])
  })

async function violations(rules: object): Promise<string[]> {
  const { violations: found } = await page.evaluate<{ violations: Violation[] }>(
    `axe.run(document, ${JSON.stringify({ ...rules, resultTypes: ['violations'] })})`,
  )
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`)
}
