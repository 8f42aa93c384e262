import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { launchBrowser } from '../browser/launch-browser.ts'
import { type BrowserCustomer, type BrowserSettings, browserCustomer } from '../customer/browser-customer.ts'
import type { ScreenKind } from '../customer/screen.ts'
import { read, somePayment } from '../rig/consented.ts'
import { hasSterling, hasThreeAccounts, openRig, type Rig } from '../rig/rig.ts'
import type { DemoCustomer } from '../sandbox/description.ts'
import type { StartedAuthorization, ThirdParty } from '../third-party/third-party.ts'
import { lodgeAccountAccess, lodgePayment } from '../third-party/uk-open-banking.ts'

let rig: Rig
let browser: Browser
before(async () => {
  rig = await openRig()
  browser = await launchBrowser()
})
after(async () => {
  await browser?.close()
  await rig?.close()
})

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
const wcag = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
const phone = { width: 320, height: 640 }
/** Set BANKSIDE_SHOTS to a folder to look at every page that these tests meet. */
const shots = process.env['BANKSIDE_SHOTS']
if (shots) mkdirSync(shots, { recursive: true })

const devices: [string, Omit<BrowserSettings, 'redirectUri'>][] = [
  ['on a desk, in light', {}],
  ['on a phone of 320 pixels, in dark', { viewport: phone, colorScheme: 'dark' }],
]

type Violation = { id: string; nodes: { html: string; failureSummary: string }[] }

async function inspect(page: Page, name: string): Promise<void> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<{ violations: Violation[] }>(
    `axe.run(document, ${JSON.stringify({ runOnly: { type: 'tag', values: wcag } })})`,
  )
  assert.deepEqual(
    violations.map(
      ({ id, nodes }) => `${name}: ${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`,
    ),
    [],
  )
  const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  assert.ok(overflow <= 0, `${name} is ${overflow} pixels wider than the window`)
  if (shots) await page.screenshot({ path: path.join(shots, `${name.replaceAll(/[^a-z0-9]+/gi, '-')}.png`), fullPage: true })
}

/** Someone at a browser, every page of whom is inspected; nothing may be blocked or fail on the way. */
async function atTheBrowser(
  person: DemoCustomer,
  settings: Partial<BrowserSettings>,
  act: (customer: BrowserCustomer) => Promise<void>,
): Promise<void> {
  const redirectUri = rig.description.clients[0]?.redirect_uris[0] ?? ''
  const customer = await browserCustomer(browser, person, rig.codes, { redirectUri, ...settings })
  const complaints: string[] = []
  customer.page.on(
    'console',
    (message) => message.type() === 'error' && !/status of 4\d\d/.test(message.text()) && complaints.push(message.text()),
  )
  customer.page.on('pageerror', (error) => complaints.push(String(error)))
  try {
    await act(customer)
    assert.deepEqual(complaints, [])
  } finally {
    await customer.close()
  }
}

async function askForAccounts(): Promise<{ thirdParty: ThirdParty; started: StartedAuthorization }> {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  return { thirdParty, started: await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' } }) }
}

async function askForPayment(from: DemoCustomer): Promise<StartedAuthorization> {
  const thirdParty = await rig.thirdParty('tpp-tls-dpop')
  const consentId = (await lodgePayment(thirdParty, somePayment(rig, { from, amount: '165.88' }))).textAt('Data.ConsentId')
  return await thirdParty.start({ scope: 'openid payments', intent: { consentId, namedBy: 'both' } })
}

for (const [where, settings] of devices) {
  const inspecting = (customer: BrowserCustomer, seen: ScreenKind[], journey: string) => async (screen: { kind: ScreenKind }) => {
    seen.push(screen.kind)
    await inspect(customer.page, `${journey} ${seen.length} ${screen.kind} ${where}`)
  }

  test(`CX-01 CX-04 CX-09 CX-AIS-05 A11Y-02 sharing accounts ${where}: three pages, axe finds nothing, the customer is back at the third party`, async () => {
    const { thirdParty, started } = await askForAccounts()
    const seen: ScreenKind[] = []
    await atTheBrowser(rig.someone(hasThreeAccounts), settings, async (customer) => {
      const { callback, screens } = await customer.authorise(started.url, { onScreen: inspecting(customer, seen, 'accounts') })
      assert.deepEqual(seen, ['sign_in', 'second_factor', 'choose_accounts'])
      assert.ok(
        screens.every(({ text }) => text.includes('Acorn Money')),
        'the trading name is on every page',
      )
      assert.ok(
        screens.every(({ text }) => !/\b(scope|consent id|ReadAccounts\w+)\b/i.test(text)),
        'no words of the API',
      )
      assert.equal(await customer.page.locator('h1').innerText(), 'Back at the third party')
      assert.ok(callback)
      assert.equal((await read({ thirdParty, tokens: await thirdParty.redeem(started, callback) }, '/accounts')).status, 200)
    })
  })

  test(`LOGOUT-01 LOGOUT-02 LOGOUT-04 A11Y-02 signing out ${where}: the page asks, the button leads back to the third party, and its tokens stay`, async () => {
    const { thirdParty, started } = await askForAccounts()
    const { end_session_endpoint = '' } = thirdParty.configuration.serverMetadata()
    const address = (parameters: Record<string, string>) =>
      `${end_session_endpoint}?${new URLSearchParams({ post_logout_redirect_uri: started.redirectUri, state: 'a b', ...parameters })}`
    await atTheBrowser(rig.someone(hasThreeAccounts), settings, async (customer) => {
      const { callback } = await customer.authorise(started.url)
      assert.ok(callback)
      const tokens = await thirdParty.redeem(started, callback)
      await customer.open(address({ client_id: thirdParty.client.client_id }))
      assert.equal(await customer.page.locator('h1').innerText(), 'Sign out of Bankside')
      await inspect(customer.page, `sign out ${where}`)
      await customer.press('Stay signed in')
      await inspect(customer.page, `stay signed in ${where}`)
      await customer.open(address({ client_id: thirdParty.client.client_id }))
      await customer.press('Sign out')
      assert.equal(customer.page.url(), `${started.redirectUri}${started.redirectUri.includes('?') ? '&' : '?'}state=a+b`)
      assert.equal((await read({ thirdParty, tokens }, '/accounts')).status, 200)

      await customer.open(address({ id_token_hint: tokens.id_token ?? '' }))
      assert.match(customer.page.url(), /state=a\+b$/, 'nobody is signed in: with a hint there is nothing to ask')
      await customer.open(end_session_endpoint)
      assert.equal(await customer.page.locator('h1').innerText(), 'You have signed out')
      await inspect(customer.page, `signed out ${where}`)
    })
  })

  test(`CX-PIS-01 CX-PIS-04 CX-PIS-08 A11Y-02 paying ${where}: payee and amount before the code and on the button`, async () => {
    const person = rig.someone(hasSterling)
    const started = await askForPayment(person)
    const seen: ScreenKind[] = []
    await atTheBrowser(person, settings, async (customer) => {
      const inspected = inspecting(customer, seen, 'payment')
      const { callback } = await customer.authorise(started.url, {
        async onScreen(screen) {
          await inspected(screen)
          if (screen.kind !== 'sign_in') assert.match(screen.text, /£165\.88 to Riverside Rentals/)
          if (screen.kind === 'confirm_payment')
            assert.equal(await customer.page.getByRole('button', { name: 'Pay £165.88 to Riverside Rentals' }).count(), 1)
        },
      })
      assert.deepEqual(seen, ['sign_in', 'second_factor', 'confirm_payment'])
      assert.ok(callback?.searchParams.get('code'))
    })
  })

  test(`DB-01 DB-04 A11Y-02 connected accounts ${where}: list, detail, stop, and the list again`, async () => {
    const person = rig.someone()
    const { started } = await askForAccounts()
    await rig.customer(person).authorise(started.url)
    await atTheBrowser(person, settings, async (customer) => {
      let screen = await customer.open(`${rig.description.issuer}/connected-accounts`)
      const steps: string[] = []
      const look = async (step: string) => {
        steps.push(step)
        await inspect(customer.page, `connected ${steps.length} ${step} ${where}`)
      }
      await look('sign-in')
      screen = await customer.answer(screen)
      await look('code')
      screen = await customer.answer(screen)
      assert.match(screen.heading, /connected accounts/i)
      await look('list')
      screen = await customer.press(/Acorn Money/)
      await look('detail')
      screen = await customer.press(/^stop access/i)
      await look('stop')
      screen = await customer.press(/^stop access$/i)
      assert.match(screen.text, /you stopped access for Acorn Money/i)
      await look('stopped')
    })
  })

  test(`CX-11 A11Y-02 wrong password, locked, wrong link ${where}: axe finds nothing, the error comes first`, async () => {
    const person = rig.someone()
    const { started } = await askForAccounts()
    await atTheBrowser({ ...person, password: 'not this one' }, settings, async (customer) => {
      let screen = await customer.answer(await customer.open(started.url))
      await inspect(customer.page, `problem 1 wrong password ${where}`)
      assert.match(screen.text, /not right/)
      for (let attempt = 0; attempt < 4 && screen.kind === 'sign_in'; attempt++) screen = await customer.answer(screen)
      assert.match(screen.text, /15 minutes/)
      await inspect(customer.page, `problem 2 locked ${where}`)
      await customer.open(`${rig.description.issuer}/auth?client_id=tpp-pkjwt-dpop&request_uri=urn:ietf:params:oauth:request_uri:unknown`)
      await inspect(customer.page, `problem 3 wrong link ${where}`)
      await customer.open(`${rig.description.issuer}/nothing-here`)
      await inspect(customer.page, `problem 4 no such page ${where}`)
    })
    await rig.ask('delete from customers.sign_in_attempt')
  })
}

test('CX-15 without JavaScript everything works', async () => {
  const { started } = await askForAccounts()
  await atTheBrowser(rig.someone(), { javaScriptEnabled: false }, async (customer) => {
    const { callback } = await customer.authorise(started.url)
    assert.ok(callback?.searchParams.get('code'))
  })
})

test('CX-15 back and forward in a real browser end at the third party all the same', async () => {
  const { started } = await askForAccounts()
  await atTheBrowser(rig.someone(), {}, async (customer) => {
    await customer.answer(await customer.open(started.url))
    await customer.page.goBack()
    await customer.page.goForward()
    const { callback } = await customer.authorise(customer.page.url())
    assert.ok(callback?.searchParams.get('code'), customer.page.url())
  })
})
