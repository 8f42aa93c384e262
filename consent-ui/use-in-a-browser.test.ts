import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
// Only tests here may import from acceptance, and only the browser.
import { launchBrowser } from '@bankside/acceptance/browser/launch-browser'
import type { Browser, Page } from 'playwright-core'
import { states } from './gallery-states.ts'
import { type StatesServer, serveStates } from './testing/serve-states.ts'

let server: StatesServer
let browser: Browser
let phone: Page
/** As the strictest customer has it: no script runs. Playwright still reads and presses. */
let withoutScripts: Page

before(async () => {
  server = await serveStates()
  browser = await launchBrowser()
  phone = await browser.newPage({ viewport: { width: 320, height: 640 } })
  withoutScripts = await browser.newPage({ viewport: { width: 360, height: 640 }, javaScriptEnabled: false })
})
after(async () => {
  await browser.close()
  server.close()
})
const open = (name: string, page = phone) => page.goto(`${server.origin}/${name}`)

const hostile = Object.keys(states).filter((name) => name.startsWith('hostile'))

for (const name of hostile)
  test(`CX-03 ${name}: names from outside stay text`, async () => {
    await open(name)
    assert.deepEqual(await phone.locator('script, img, iframe, object, [style], [onerror], [onfocus], [onclick]').count(), 0)
    assert.match(await phone.title(), / – Bankside$/)
  })

test('CX-01 A11Y-05 a name cannot turn round the sentence it stands in', async () => {
  await open('hostile-sign-in-override')
  assert.equal(
    await phone.locator('.lead').innerText(),
    'Acorn yenoM Pay has asked us to make this payment for you. Nothing is paid until you agree.',
  )
  assert.doesNotMatch(await phone.title(), /[\u202a-\u202e\u2066\u2067]/)
})

for (const name of Object.keys(states))
  test(`A11Y-02 A11Y-07 ${name}: nothing sticks out at 320 px, nor with letters twice as large; targets are at least 24 px`, async () => {
    await open(name)
    assert.ok((await phone.evaluate<number>(widthNeeded)) <= 320, 'scrolls sideways at 320 px')
    assert.deepEqual(await phone.evaluate<string[]>(smallTargets), [])
    await phone.setViewportSize({ width: 640, height: 640 })
    await phone.evaluate('document.documentElement.style.fontSize = "200%"')
    assert.ok((await phone.evaluate<number>(widthNeeded)) <= 640, 'scrolls sideways at 200 %')
    await phone.setViewportSize({ width: 320, height: 640 })
  })

const widthNeeded = 'document.documentElement.scrollWidth'
const smallTargets = `[...document.querySelectorAll('a, button, summary, input:not([type=hidden])')]
  .filter((element) => !element.matches('.skip-link'))
  .map((element) => ({ element, box: element.getBoundingClientRect() }))
  .filter(({ box }) => box.width < 24 || box.height < 24)
  .map(({ element, box }) => element.outerHTML + ' ' + box.width + 'x' + box.height)`

const tabOrders: Record<string, string[]> = {
  'sign-in-accounts': ['#main', 'username', 'password', 'Continue', 'Cancel', '/help'],
  'sign-in-wrong': ['#username', 'username', 'password', 'Continue', 'Cancel', '/help'],
  'second-factor-payment': ['#main', 'code', 'Continue', 'Cancel', '/help'],
  'choose-accounts': [
    '#main',
    'Your account details',
    'Your regular payments',
    'Your account transactions',
    'account',
    'account',
    'account',
    'Share these accounts',
    'Cancel',
    '/help',
  ],
  'confirm-payment': ['#main', 'account', 'Pay £165.88 to ACME Garden Centre', 'Cancel', '/help'],
  'connected-accounts': ['#main', 'Sign out', '/connected-accounts/1', '/connected-accounts/2', '/connected-accounts/3', '/help'],
  'stop-access': ['#main', 'Sign out', 'Stop access', 'Keep access', '/help'],
}
for (const [name, expected] of Object.entries(tabOrders))
  test(`A11Y-01 ${name}: the keyboard reaches everything in reading order, and one sees where it is`, async () => {
    await open(name)
    // The browser moves the focus to the summary with its first frame.
    if (expected[0] === '#username') await phone.locator('#error-summary:focus').waitFor()
    const reached: string[] = []
    for (let index = 0; index < expected.length; index++) {
      await phone.keyboard.press('Tab')
      reached.push(await phone.evaluate<string>(focused))
      assert.ok(await phone.evaluate<boolean>(focusIsVisible), `focus cannot be seen on ${reached.at(-1)}`)
    }
    assert.deepEqual(reached, expected)
  })

const focused = `((element) => element.getAttribute('href') ?? (element.name === 'action' || element.matches('summary') ? element.innerText : element.name))(document.activeElement)`
const focusIsVisible = `[document.activeElement, document.activeElement.nextElementSibling]
  .some((element) => element && getComputedStyle(element).outlineStyle === 'solid' && parseFloat(getComputedStyle(element).outlineWidth) >= 3)`

test('A11Y-04 the error summary has the focus when the page opens, and leads to the field', async () => {
  for (const [name, field] of [
    ['sign-in-wrong', 'username'],
    ['second-factor-last-try', 'code'],
    ['choose-accounts-none-chosen', 'account'],
    ['confirm-payment-none-chosen', 'account'],
  ] as const) {
    await open(name)
    await phone.locator('#error-summary:focus').waitFor()
    await phone.locator('.error-summary a').click()
    assert.equal(await phone.evaluate('document.activeElement.name'), field, name)
  }
})

test('CX-07 DP-03 DP-09 confirming and cancelling are of one size and one contrast, in light and in dark', async () => {
  for (const name of ['sign-in-accounts', 'second-factor-payment', 'choose-accounts', 'confirm-payment', 'stop-access'])
    for (const colorScheme of ['light', 'dark'] as const)
      for (const width of [360, 1280]) {
        await phone.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await phone.setViewportSize({ width, height: 740 })
        await open(name)
        const [confirm, cancel] = await phone.evaluate<ButtonLook[]>(buttonLooks)
        assert.ok(confirm && cancel, name)
        assert.deepEqual([cancel.width, cancel.fontSize, cancel.fontWeight], [confirm.width, confirm.fontSize, confirm.fontWeight], name)
        if (width === 1280) assert.equal(cancel.height, confirm.height, name)
        assert.ok(contrast(cancel) >= 4.5 && Math.abs(contrast(cancel) - contrast(confirm)) < 1.5, `${name} ${colorScheme}`)
      }
  await phone.emulateMedia({ colorScheme: null, reducedMotion: null })
  await phone.setViewportSize({ width: 320, height: 640 })
})

type ButtonLook = { width: number; height: number; fontSize: string; fontWeight: string; color: string; ground: string }
const buttonLooks = `[...document.querySelectorAll('.choices button')].map((button) => {
  const { width, height } = button.getBoundingClientRect()
  const { fontSize, fontWeight, color, backgroundColor: ground } = getComputedStyle(button)
  return { width, height, fontSize, fontWeight, color, ground }
})`

/** WCAG 2.2, contrast ratio. */
function contrast({ color, ground }: ButtonLook): number {
  const [lighter = 0, darker = 0] = [luminance(color), luminance(ground)].sort((a, b) => b - a)
  return (lighter + 0.05) / (darker + 0.05)
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map((part) => {
    const share = Number(part) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

test('CX-15 DB-04 without scripts: details open, accounts can be chosen, both answers arrive', async () => {
  await open('choose-accounts', withoutScripts)
  await withoutScripts.getByText('Your account details').click()
  assert.ok(await withoutScripts.getByText('Your account balance').isVisible())
  await withoutScripts.getByLabel('Everyday').check()
  await withoutScripts.getByLabel('Holidays in Lisbon').check()
  await withoutScripts.getByRole('button', { name: 'Share these accounts' }).click()
  assert.equal(server.received.at(-1)?.toString(), 'page_token=c2FtcGxl&account=acc_1&account=acc_3&action=confirm')
  await open('choose-accounts', withoutScripts)
  await withoutScripts.getByRole('button', { name: 'Cancel' }).click()
  assert.equal(server.received.at(-1)?.toString(), 'page_token=c2FtcGxl&action=cancel')
})

test('SCA-01 Enter in the code field sends the code, not the cancellation; pasting with spaces loses nothing', async () => {
  await open('second-factor-payment', withoutScripts)
  await withoutScripts.getByLabel('6-digit code').fill('123 456')
  await withoutScripts.getByLabel('6-digit code').press('Enter')
  await withoutScripts.waitForURL('**/done')
  assert.equal(server.received.at(-1)?.toString(), 'page_token=c2FtcGxl&code=123+456&action=continue')
})

test('CX-PIS-02 an account that was named is posted without a choice', async () => {
  await open('confirm-payment-account-given', withoutScripts)
  await withoutScripts.getByRole('button', { name: 'Pay £165.88 to ACME Garden Centre' }).click()
  assert.equal(server.received.at(-1)?.toString(), 'page_token=c2FtcGxl&account=acc_1&action=confirm')
})

test('A11Y-07 forced colours keep the edges of buttons and fields; print shows what is shared and no buttons', async () => {
  await phone.emulateMedia({ forcedColors: 'active' })
  await open('choose-accounts')
  const edges = `[...document.querySelectorAll('.choices button')].map((button) => getComputedStyle(button).borderTopWidth)`
  assert.deepEqual(await phone.evaluate(edges), ['2px', '2px'])
  await phone.emulateMedia({ forcedColors: null, media: 'print' })
  assert.ok(await phone.getByText('Your account balance').isVisible())
  assert.equal(await phone.locator('.choices').isVisible(), false)
  await phone.emulateMedia({ media: null })
})
