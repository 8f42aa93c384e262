import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { launchBrowser } from '../browser/launch-browser.ts'
import { type BrowserCustomer, browserCustomer } from '../customer/browser-customer.ts'
import type { Screen } from '../customer/screen.ts'
import { somePayment } from '../rig/consented.ts'
import { oauthError } from '../rig/oauth-error.ts'
import { hasSterling, openRig, type Rig, sterlingOf } from '../rig/rig.ts'
import type { DemoCustomer } from '../sandbox/description.ts'
import { answerFor, askElsewhere, openNotificationEndpoint, poll, pollOnce } from '../third-party/backchannel.ts'
import { aisp, getPaymentConsent, lodgeAccountAccess, lodgePayment, submitPayment } from '../third-party/uk-open-banking.ts'

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

/** A real browser without scripts, signed in to the dashboard. */
async function atDashboard(person: DemoCustomer): Promise<BrowserCustomer & { readonly overview: Screen }> {
  const customer = await browserCustomer(browser, person, rig.codes, { redirectUri: 'https://nowhere.test/', javaScriptEnabled: false })
  let overview = await customer.open(`${rig.description.issuer}/connected-accounts`)
  while (['sign_in', 'second_factor'].includes(overview.kind)) overview = await customer.answer(overview)
  return { ...customer, overview }
}

test('CIBA-03 CIBA-05 CIBA-09 CIBA-13 a customer shares accounts with a company on the phone: asked, compared, agreed to in a browser, fetched by polling', async () => {
  const juniper = await rig.thirdParty('tpp-ciba-poll')
  const person = rig.someone()
  const consentId = (await lodgeAccountAccess(juniper)).textAt('Data.ConsentId')
  const asked = await askElsewhere(juniper, {
    scope: 'openid accounts',
    consentId,
    loginHint: person.username,
    bindingMessage: 'K7-4821',
  })
  assert.ok(asked.expires_in > 0 && asked.interval === 5)
  const fetched = poll(juniper, asked)

  const customer = await atDashboard(person)
  assert.match(customer.overview.text, /One request waits for your answer/)
  const list = await customer.press(/waits for your answer/)
  for (const shown of [/Juniper Checkout/, /Wants to see your account information/, /K7-4821/]) assert.match(list.text, shown)
  const page = await customer.press('Juniper Checkout')
  for (const shown of [/Share account information with Juniper Checkout/, /K7-4821/, /Your account details/]) assert.match(page.text, shown)
  const done = await customer.answer(page)
  assert.match(done.heading, /You said yes/)
  await customer.close()

  const tokens = await fetched
  const claims = tokens.claims()
  assert.equal(claims?.['acr'], 'urn:openbanking:psd2:sca')
  assert.equal(claims?.['openbanking_intent_id'], consentId)
  const accounts = await juniper.call(tokens.access_token, 'GET', aisp(juniper, '/accounts'))
  assert.equal(accounts.status, 200)
  assert.equal(accounts.listAt('Data.Account').length, person.accounts.length)
  assert.ok(tokens.refresh_token)
  assert.equal((await juniper.refresh(tokens.refresh_token)).token_type, 'bearer')
  assert.equal(await oauthError(pollOnce(juniper, asked.auth_req_id)), 'invalid_grant')
})

test('CIBA-09 CIBA-10 UKDCR-11 a customer pays in a shop: a code for this payment, the company is called, and pays', async () => {
  const kestrel = await rig.thirdParty('tpp-ciba-ping')
  const person = rig.someone(hasSterling)
  const body = somePayment(rig, { from: person })
  const consentId = (await lodgePayment(kestrel, body)).textAt('Data.ConsentId')
  const endpoint = new URL(kestrel.client.backchannel_client_notification_endpoint ?? '')
  const called = await openNotificationEndpoint(rig.description, Number(endpoint.port))
  const asked = await askElsewhere(kestrel, {
    scope: 'openid payments',
    consentId,
    loginHint: person.username,
    bindingMessage: 'TILL 3',
    notificationToken: 'kestrel-token.1',
  })
  assert.equal(await oauthError(pollOnce(kestrel, asked.auth_req_id)), 'authorization_pending')

  const customer = await atDashboard(person)
  await customer.press(/waits for your answer/)
  const code = await customer.press('Kestrel Payments')
  assert.equal(code.kind, 'second_factor')
  for (const shown of [/£10\.00/, /Riverside Rentals/, /TILL 3/]) assert.match(code.text, shown)
  const confirm = await customer.answer(code)
  for (const shown of [/Check and confirm this payment/, /£10\.00/, /Riverside Rentals/, /TILL 3/]) assert.match(confirm.text, shown)
  const done = await customer.answer(confirm, { choose: () => [sterlingOf(person).id] })
  assert.match(done.heading, /You said yes/)
  await customer.close()

  const deadline = performance.now() + 20_000
  while (called.received.length === 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.deepEqual(called.received, [
    {
      path: endpoint.pathname,
      authorization: 'Bearer kestrel-token.1',
      contentType: 'application/json',
      body: JSON.stringify({ auth_req_id: asked.auth_req_id }),
    },
  ])
  called.close()
  const tokens = await pollOnce(kestrel, asked.auth_req_id)
  const paid = await submitPayment(kestrel, tokens.access_token, consentId, body)
  assert.equal(paid.status, 201, paid.text)
  assert.equal((await getPaymentConsent(kestrel, consentId)).at('Data.Status'), 'COND')
})

test('CIBA-13 the customer says no: the company is told access_denied, the consent is rejected', async () => {
  const juniper = await rig.thirdParty('tpp-ciba-poll')
  const person = rig.someone(hasSterling)
  const body = somePayment(rig, { from: person })
  const consentId = (await lodgePayment(juniper, body)).textAt('Data.ConsentId')
  const asked = await askElsewhere(juniper, { scope: 'openid payments', consentId, loginHint: person.username, bindingMessage: 'B2' })
  const customer = await atDashboard(person)
  await customer.press(/waits for your answer/)
  await customer.press('Juniper Checkout')
  const said = await customer.press('Say no')
  assert.match(said.heading, /You said no/)
  await customer.close()
  assert.equal(await oauthError(pollOnce(juniper, asked.auth_req_id)), 'access_denied')
  assert.equal((await getPaymentConsent(juniper, consentId)).at('Data.Status'), 'RJCT')
})

test('CIBA-09 automated tests answer through the address in sandbox.json: allow, deny, again, and for what is unknown', async () => {
  const juniper = await rig.thirdParty('tpp-ciba-poll')
  const kestrel = await rig.thirdParty('tpp-ciba-ping')
  const person = rig.someone(hasSterling)
  const ask = async (thirdParty: typeof juniper, notificationToken?: string) =>
    askElsewhere(thirdParty, {
      scope: 'openid accounts',
      consentId: (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId'),
      loginHint: person.username,
      bindingMessage: '1234',
      ...(notificationToken !== undefined && { notificationToken }),
    })
  const allowed = await ask(juniper)
  assert.deepEqual(await answerFor(juniper, allowed.auth_req_id, 'allow'), { status: 200, outcome: 'approved' })
  assert.deepEqual(await answerFor(kestrel, allowed.auth_req_id, 'deny'), { status: 200, outcome: 'approved' }, 'it stays as it was')
  assert.ok((await pollOnce(juniper, allowed.auth_req_id)).access_token)

  const denied = await ask(kestrel, 'token')
  assert.deepEqual(await answerFor(kestrel, denied.auth_req_id, 'deny'), { status: 200, outcome: 'denied' })
  assert.equal(await oauthError(pollOnce(kestrel, denied.auth_req_id)), 'access_denied')

  assert.equal((await answerFor(juniper, 'made-up', 'allow')).status, 404)
  assert.equal((await answerFor(juniper, denied.auth_req_id, 'steal')).status, 400)
})

test('CIBA-13 no process of the product knows the address at which tests answer', async () => {
  const { issuer, mtls_issuer, resource_api, automated_ciba_approval_url } = rig.description
  const { fetch } = await rig.thirdParty('tpp-ciba-poll')
  const { pathname, search } = new URL(automated_ciba_approval_url)
  for (const origin of [issuer, mtls_issuer, resource_api])
    assert.equal((await fetch(origin + pathname + search, { method: 'POST' })).status, 404, origin)
})
