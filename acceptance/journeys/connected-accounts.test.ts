import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { HttpCustomer, Page } from '../customer/http-customer.ts'
import { authorise, read, shareAccounts } from '../rig/consented.ts'
import { oauthError } from '../rig/oauth-error.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import { getAccountAccess } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

const overviewUrl = () => `${rig.description.issuer}/connected-accounts`

async function signIn(customer: HttpCustomer): Promise<Page> {
  let page = await customer.open(overviewUrl())
  for (let screen = 0; screen < 3 && ['sign_in', 'second_factor'].includes(page.kind); screen++) page = await customer.answer(page)
  return page
}

function linkTo(page: Page, consentId: string): string {
  const [, href] = new RegExp(`href="([^"]*${consentId}[^"]*)"`).exec(page.html) ?? []
  assert.ok(href, `the overview has no link to the consent: ${page.text.slice(0, 400)}`)
  return new URL(href, page.url).href
}

async function stopAccess(customer: HttpCustomer, consentId: string): Promise<{ detail: Page; confirmation: Page; done: Page }> {
  const detail = await customer.open(linkTo(await signIn(customer), consentId))
  const confirmation = await customer.submit(detail, [], 'stop')
  return { detail, confirmation, done: await customer.submit(confirmation, [], 'confirm') }
}

test('DB-01 DB-02 DB-03 after sign-in the overview shows who has access, the detail to what and since when', async () => {
  const consented = await shareAccounts(rig)
  const customer = rig.customer(consented.person)
  const overview = await signIn(customer)
  assert.match(overview.heading, /connected accounts/i)
  assert.match(overview.text, /Acorn Money/)
  const detail = await customer.open(linkTo(overview, consented.consentId))
  for (const shown of [/Acorn Money/, /You said yes on/, /transactions/i, /balance/i]) assert.match(detail.text, shown)
  assert.doesNotMatch(detail.text, /ReadAccountsDetail|con_[0-9a-f]/, 'no words of the API')
})

test('DB-04 DB-05 DB-10 AIS-20 CX-AIS-07 stopped in one action and one confirmation: the very next call is refused, the refresh token is dead, the consent is CANC', async () => {
  const consented = await shareAccounts(rig)
  assert.equal((await read(consented, '/accounts')).status, 200)
  const { confirmation } = await stopAccess(rig.customer(consented.person), consented.consentId)
  assert.match(confirmation.text, /can no longer see/)
  assert.ok([401, 403].includes((await read(consented, '/accounts')).status))
  assert.equal(await oauthError(consented.thirdParty.refresh(consented.tokens.refresh_token ?? '')), 'invalid_grant')
  assert.equal((await getAccountAccess(consented.thirdParty, consented.consentId)).at('Data.Status'), 'CANC')
})

test('DB-05 DB-06 what was stopped stays in the list, apart, and cannot be stopped twice', async () => {
  const consented = await shareAccounts(rig)
  const customer = rig.customer(consented.person)
  const { detail, confirmation } = await stopAccess(customer, consented.consentId)
  const again = await customer.open(detail.url)
  assert.match(again.text, /ended|stopped/i)
  assert.ok(!again.forms.some(({ buttons }) => buttons.some(({ value }) => value === 'stop')))
  const repeated = await customer.submit(confirmation, [], 'confirm')
  assert.ok(repeated.status < 500)
  assert.equal((await getAccountAccess(consented.thirdParty, consented.consentId)).at('Data.Status'), 'CANC')
})

test('AIS-20 RW-TOK-04 after it was stopped the customer may give the consent again', async () => {
  const consented = await shareAccounts(rig)
  await stopAccess(rig.customer(consented.person), consented.consentId)
  const again = await authorise(rig, consented.thirdParty, consented.person, { consentId: consented.consentId, scope: 'openid accounts' })
  assert.equal((await read(again, '/accounts')).status, 200)
  assert.equal((await read(consented, '/accounts')).status, 401, 'the tokens of before stay dead')
})

test('DB-05 the event of the stop is delivered to the customer’s notifications', async () => {
  const consented = await shareAccounts(rig)
  await stopAccess(rig.customer(consented.person), consented.consentId)
  const deadline = performance.now() + 20_000
  const told = () =>
    rig.ask<{ type: string }>('select n.type from events.notification n join events.event e using (event_id) where e.subject = $1', [
      consented.consentId,
    ])
  let notifications = await told()
  while (notifications.length < 2 && performance.now() < deadline) notifications = await told()
  assert.ok(notifications.length >= 2, 'one for the consent, one for its end')
})

test('DB-01 another customer sees nothing of it, neither in the list nor by its address', async () => {
  const consented = await shareAccounts(rig)
  const other = rig.customer(rig.someone(({ username }) => username !== consented.person.username))
  const overview = await signIn(other)
  assert.ok(!overview.html.includes(consented.consentId))
  const direct = await other.open(`${overviewUrl()}/${consented.consentId}`)
  assert.equal(direct.status, 404)
})

test('CX-11 SCA-02 a session that was idle for 5 minutes has ended', async () => {
  const customer = rig.customer(rig.someone())
  assert.match((await signIn(customer)).heading, /connected accounts/i)
  await rig.ask(`update customers.session set last_seen_at = last_seen_at - interval '4 minutes'`)
  assert.match((await customer.open(overviewUrl())).heading, /connected accounts/i, 'four minutes are not too long')
  await rig.ask(`update customers.session set last_seen_at = last_seen_at - interval '5 minutes 1 second'`)
  assert.equal((await customer.open(overviewUrl())).kind, 'sign_in')
})

test('CX-18 BCP-12 a stop without the page’s token, or from another origin, changes nothing', async () => {
  const consented = await shareAccounts(rig)
  const customer = rig.customer(consented.person)
  const detail = await customer.open(linkTo(await signIn(customer), consented.consentId))
  const confirmation = await customer.submit(detail, [], 'stop')
  const forged = { ...confirmation, forms: confirmation.forms.map((form) => ({ ...form, fields: [] })) }
  assert.ok((await customer.submit(forged, [], 'confirm')).status >= 400)
  assert.equal((await read(consented, '/accounts')).status, 200)
})
