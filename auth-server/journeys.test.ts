import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { endLimit, setLimit } from '@bankside/bank/limits/set-limit'
import { sql, transact } from '@bankside/service-kit/postgres'
import { decodeJwt } from 'jose'
import { authoriseAccounts, pushed } from './testing/authorise.ts'
import { enterCustomer, freshCode, lodgeAccounts, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser, fill, formOf, responseOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { firstPartyScopes, intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty
let app: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
})
after(() => server.stop())

const heading = ({ text }: Answer) =>
  /<h1[^>]*>([\s\S]*?)<\/h1>/
    .exec(text)?.[1]
    ?.replace(/<[^>]+>/g, '')
    .replace(/\s+/g, ' ')
    .trim()
const leaveHref = ({ text }: Answer) => /href="(\/interaction\/[^"]+\/leave)"/.exec(text)?.[1] ?? ''

async function beginAccess(customer = new CustomerAtBrowser(server, ada)) {
  const consentId = await lodgeAccounts(server, 'acorn')
  return { customer, consentId, page: await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) })) }
}
async function beginPayment(customer = new CustomerAtBrowser(server, ada), terms: Parameters<typeof lodgePayment>[2] = {}) {
  const consentId = await lodgePayment(server, 'acorn', terms)
  return {
    customer,
    consentId,
    page: await customer.open(acorn, await pushed(acorn, { scope: 'openid payments', claims: intentClaim(consentId) })),
  }
}

test('CX-01 CX-04 CX-AIS-02 CX-AIS-05 FAPI2-AZ-13 the pages of an account access, one after the other', async () => {
  const { customer, page, consentId } = await beginAccess()
  assert.match(heading(page) ?? '', /Sign in to share account information with Client acorn/)
  const second = await customer.submit(page, { username: 'ada', password: ada.password })
  assert.equal(heading(second), 'Enter your 6-digit code')
  const choose = await customer.enterCode(second)
  assert.equal(heading(choose), 'Share account information with Client acorn')
  assert.deepEqual(formOf(choose).choices.toSorted(), ada.accounts.toSorted())
  assert.doesNotMatch(choose.text, /checked/, 'CX-14 nothing is chosen beforehand')
  assert.equal((await readConsent(server, consentId)).status, 'AWAU')
  responseOf(await customer.agree(choose, [ada.accounts[2] ?? '']))
  const chosen = await server.owner.any(sql.unsafe`select account_id from consents.consent_account where consent_id = ${consentId}`)
  assert.deepEqual(
    chosen.map((row) => ({ ...(row as object) })),
    [{ account_id: ada.accounts[2] }],
  )
})

test('CX-AIS-05 without an account, or with somebody else’s, the page is shown again and says what to do', async () => {
  const bob = await enterCustomer(server, 'bob')
  const { customer, page, consentId } = await beginAccess()
  const choose = await customer.signIn(page)
  const none = await customer.agree(choose, [])
  assert.match(none.text, /Choose at least one account to share/)
  const foreign = await customer.agree(none, [bob.accounts[0] ?? ''])
  assert.match(foreign.text, /Choose another one/)
  assert.equal((await readConsent(server, consentId)).status, 'AWAU')
  responseOf(await customer.agree(foreign, ada.accounts.slice(0, 1)))
})

test('CX-PIS-01 CX-PIS-04 CX-PIS-08 CX-04 the pages of a payment show payee and amount throughout, and ask once', async () => {
  const { customer, page, consentId } = await beginPayment()
  const second = await customer.submit(page, { username: 'ada', password: ada.password })
  const confirm = await customer.enterCode(second)
  for (const shown of [page, second, confirm]) {
    assert.match(shown.text, /£165\.88/)
    assert.match(shown.text, /ACME Inc/)
  }
  assert.match(confirm.text, /Invoice 7/)
  assert.deepEqual(formOf(confirm).choices.toSorted(), ada.accounts.slice(0, 2).toSorted(), 'not from an account in euros')
  const { code = '' } = responseOf(await customer.agree(confirm, [ada.accounts[1] ?? '']))
  const tokens = await acorn.redeem(code)
  assert.equal(tokens.status, 200)
  assert.ok(!('refresh_token' in tokens.json))
  assert.equal(decodeJwt(String(tokens.json['access_token']))['consent_id'], consentId)
  const row = await readConsent(server, consentId)
  assert.equal(row.status, 'AUTH')
})

test('a payment beyond a limit that the customer set themselves is agreed to only with the limit that was shown', async () => {
  const [account = ''] = ada.accounts
  const customerId = String(await server.owner.oneFirst(sql.unsafe`select customer_id from ledger.account where account_id = ${account}`))
  const limit = {
    setBy: 'customer',
    scope: 'account',
    subjectId: account,
    channel: undefined,
    period: 'day',
    soft: true,
    actor: customerId,
  } as const
  const set = (minor: bigint) =>
    transact(server.owner, (tx) => setLimit(tx, { ...limit, most: { minor, currency: 'GBP' }, now: new Date() }))
  await set(16_588n)
  const { customer, page, consentId } = await beginPayment()
  const within = await customer.signIn(page)
  assert.doesNotMatch(within.text, /beyond_limit/)
  const limitId = await set(16_587n)
  const surprised = await customer.agree(within, [account])
  assert.match(surprised.text, /You set yourself a limit of £165\.87 a day from this account\./)
  assert.match(surprised.text, /<a href="#beyond_limit">Confirm that you want to pay more/)
  let asked = surprised
  for (const box of ['', 'on', `lim_${'0'.repeat(32)}`]) {
    asked = await customer.submit(asked, { action: 'confirm', account, beyond_limit: box })
    assert.match(asked.text, /<a href="#beyond_limit">/)
  }
  assert.equal((await readConsent(server, consentId)).status, 'AWAU')
  const box = formOf(asked).choices.filter((choice) => choice.startsWith('lim_'))
  responseOf(await customer.submit(asked, { action: 'confirm', account, beyond_limit: box }))
  const confirmed = sql.unsafe`select confirmed_limits from consents.consent where consent_id = ${consentId}`
  assert.deepEqual(await server.owner.oneFirst(confirmed), [limitId])
  await transact(server.owner, (tx) => endLimit(tx, { limitId, setBy: 'customer', actor: customerId, now: new Date() }))
})

test('PIS-08 CX-PIS-01 the customer reads that the third party is told which account pays, when it asked for that', async () => {
  for (const refundAccount of [true, false]) {
    const { customer, page } = await beginPayment(new CustomerAtBrowser(server, ada), { refundAccount })
    const confirm = await customer.signIn(page)
    assert.equal(/so that it can pay you back/.test(confirm.text), refundAccount)
    responseOf(await customer.submit(confirm, { action: 'cancel' }))
  }
})

test('CX-PIS-04 STEP-02 with a session a payment still asks for a second factor of its own, and no code serves twice', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  const { page, consentId } = await beginPayment(customer)
  assert.equal(heading(page), 'Enter your code for this payment')
  const code = await freshCode(server, ada)
  const confirm = await customer.submit(page, { code })
  assert.equal(heading(confirm), 'Check and confirm this payment')
  const challenge = await server.owner.one(sql.unsafe`
    select consent_id, customer_id, answered_at is not null as answered, spent_at is null as unspent from customers.sca_challenge where consent_id = ${consentId}`)
  assert.deepEqual({ ...(challenge as object) }, { consent_id: consentId, customer_id: ada.customerId, answered: true, unspent: true })

  const other = await beginPayment(customer)
  assert.match((await customer.submit(other.page, { code })).text, /has been used/)
  responseOf(await customer.agree(confirm, ada.accounts.slice(0, 1)))
})

test('CX-PIS-04 a second factor that was answered too long ago, or for other terms, pays nothing', async () => {
  for (const change of [sql.fragment`expires_at = now() - interval '1 second'`, sql.fragment`binding_hash = '\\x00'`]) {
    const { customer, page, consentId } = await beginPayment()
    const confirm = await customer.signIn(page)
    await server.owner.query(sql.unsafe`update customers.sca_challenge set ${change} where consent_id = ${consentId}`)
    const end = await customer.agree(confirm, ada.accounts.slice(0, 1))
    assert.equal(end.status, 400)
    assert.match(end.text, /No money has moved/)
    assert.equal((await readConsent(server, consentId)).status, 'AWAU')
  }
})

for (const step of ['sign_in', 'second_factor', 'decision'] as const)
  test(`CX-07 cancelling at ${step} rejects the consent with U036 and tells the third party access_denied, with iss`, async () => {
    for (const begin of [beginAccess, beginPayment]) {
      const { customer, page, consentId } = await begin()
      let current = page
      if (step !== 'sign_in') current = await customer.submit(current, { username: 'ada', password: ada.password })
      if (step === 'decision') current = await customer.enterCode(current)
      const response = responseOf(await customer.submit(current, { action: 'cancel' }))
      assert.equal(response['error'], 'access_denied')
      assert.equal(response['iss'], server.issuer)
      assert.equal(response['kept'], 'yes')
      const { status, status_reason_code } = await readConsent(server, consentId)
      assert.deepEqual([status, status_reason_code], ['RJCT', 'U036'])
    }
  })

test('CX-11 a wrong password and an unknown name are answered alike', async () => {
  const answers = []
  for (const username of ['ada', 'nobody']) {
    const { customer, page } = await beginAccess()
    answers.push((await customer.submit(page, { username, password: 'wrong' })).text.replace(/[\w-]{43}|\d\.[\w-]+|value="\w+"/g, ''))
  }
  assert.match(answers[0] ?? '', /not right/)
  assert.equal(answers[0]?.length, answers[1]?.length)
})

test('CX-11 SCA-02 five failures in a row, passwords and codes together, lock; the consent is rejected with U037', async () => {
  const eve = await enterCustomer(server, 'eve')
  const { customer, page, consentId } = await beginAccess(new CustomerAtBrowser(server, eve))
  let current = page
  for (let times = 0; times < 3; times++) current = await customer.submit(current, { username: 'eve', password: 'wrong' })
  current = await customer.submit(current, { username: 'eve', password: eve.password })
  current = await customer.submit(current, { code: '000000' })
  const locked = await customer.submit(current, { code: '000000' })
  assert.equal(locked.status, 429)
  assert.match(locked.text, /You cannot sign in right now/)
  assert.match(locked.text, /15 minutes/)
  assert.doesNotMatch(locked.text, /password is wrong|code is wrong|eve/i)
  const { status, status_reason_code } = await readConsent(server, consentId)
  assert.deepEqual([status, status_reason_code], ['RJCT', 'U037'])
  const response = responseOf(await customer.browser.follow(await customer.browser.get(leaveHref(locked))))
  assert.equal(response['error'], 'access_denied')
})

test('FAPI2-AZ-15 CX-15 loading a page again shows the same page, and it can still be answered', async () => {
  const { customer, page } = await beginAccess()
  const again = await customer.browser.get(formOf(page).action)
  assert.equal(again.text, page.text)
  assert.equal(heading(await customer.submit(page, { username: 'ada', password: ada.password })), 'Enter your 6-digit code')
})

test('CX-18 BCP-12 an old page, a made-up token, or none is refused, and the journey stays where it was', async () => {
  const { customer, page, consentId } = await beginAccess()
  const choose = await customer.signIn(page)
  assert.equal((await customer.submit(page, { username: 'ada', password: ada.password })).status, 409)
  const { action } = formOf(choose)
  for (const page_token of ['', '3.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'x', '99999999'])
    assert.equal(
      (await customer.browser.post(action, new URLSearchParams({ page_token, action: 'confirm', account: ada.accounts[0] ?? '' }))).status,
      409,
    )
  assert.equal((await readConsent(server, consentId)).status, 'AWAU')
  const now = await customer.browser.get(action)
  assert.equal(heading(now), 'Share account information with Client acorn')
  responseOf(await customer.agree(now, ada.accounts.slice(0, 1)))
})

test('CX-15 CX-07 who comes back to a request that has its answer is told how it ended, and nothing happens again', async () => {
  const yes = await beginAccess()
  const choose = await yes.customer.signIn(yes.page)
  responseOf(await yes.customer.agree(choose, ada.accounts.slice(0, 1)))
  const agreed = await yes.customer.browser.get(formOf(choose).action)
  assert.deepEqual([agreed.status, heading(agreed)], [200, 'You have already agreed'])
  assert.doesNotMatch(agreed.text, /acorn|Ada/i)

  const no = await beginAccess()
  responseOf(await no.customer.submit(no.page, { action: 'cancel' }))
  const refused = await no.customer.browser.get(formOf(no.page).action)
  assert.deepEqual([refused.status, heading(refused)], [200, 'You did not agree'])
  assert.equal((await readConsent(server, no.consentId)).status, 'RJCT')
})

test('BCP-12 a form on another site is refused before anything in it is looked at', async () => {
  const { customer, page } = await beginAccess()
  const choose = await customer.signIn(page)
  const form = formOf(choose)
  const filled = fill(form, { action: 'confirm', account: ada.accounts[0] ?? '' })
  for (const headers of [
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    { origin: 'null', 'sec-fetch-site': 'cross-site' },
    { origin: 'https://localhost:1', 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example', 'sec-fetch-site': '' },
    { origin: 'null', 'sec-fetch-site': '' },
  ])
    assert.equal((await customer.browser.post(form.action, filled, headers)).status, 403)
  responseOf(await customer.agree(choose, ada.accounts.slice(0, 1)))
})

test('ATK-04 another browser is shown nothing of a journey and can answer nothing', async () => {
  const { customer, page, consentId } = await beginAccess()
  const choose = await customer.signIn(page)
  const form = formOf(choose)
  const stranger = new Browser(server)
  for (const answer of [
    await stranger.get(form.action),
    await stranger.get(`${form.action}/leave`),
    await stranger.post(form.action, fill(form, { action: 'confirm', account: ada.accounts[0] ?? '' })),
  ]) {
    assert.equal(answer.status, 400)
    assert.doesNotMatch(answer.text, /Client acorn|Everyday/)
  }
  const other = await beginAccess()
  const crossed = new URLSearchParams(fill(form, { action: 'confirm', account: ada.accounts[0] ?? '' }))
  assert.equal((await other.customer.browser.post(formOf(other.page).action, crossed)).status, 409, 'a token of another journey')
  assert.equal((await readConsent(server, consentId)).status, 'AWAU')
})

test('ATK-04 a forged or changed interaction cookie is no cookie', async () => {
  const { customer, page } = await beginAccess()
  const cookie = customer.browser.cookie('__Secure-bankside_interaction')
  if (cookie === undefined) throw new Error('no interaction cookie')
  customer.browser.put({ ...cookie, value: `${cookie.value.slice(0, -1)}${cookie.value.endsWith('x') ? 'y' : 'x'}` })
  assert.equal((await customer.browser.get(formOf(page).action)).status, 400)
})

test('CX-11 SCA-02 after five idle minutes the page is gone and the sign-in begins anew', async () => {
  const { customer, page, consentId } = await beginAccess()
  const choose = await customer.signIn(page)
  await server.owner.query(sql.unsafe`update oidc.journey set expires_at = now() - interval '1 second'`)
  assert.equal((await customer.agree(choose, ada.accounts.slice(0, 1))).status, 409)
  assert.match(heading(await customer.browser.get(formOf(choose).action)) ?? '', /^Sign in/)
  assert.equal((await readConsent(server, consentId)).status, 'AWAU')
})

test('CX-11 a session ends after five idle minutes', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  const life = await server.owner.one(sql.unsafe`select max(extract(epoch from expires_at - now()))::int as seconds from oidc.session`)
  assert.ok((life as { seconds: number }).seconds <= 300)
  await server.owner.query(sql.unsafe`update oidc.session set expires_at = now() - interval '1 second'`)
  assert.match(heading((await beginAccess(customer)).page) ?? '', /^Sign in/)
})

test('RW-TOK-01 another customer may sign in where one had a session', async () => {
  const carol = await enterCustomer(server, 'carol')
  const { customer } = await authoriseAccounts(acorn, ada)
  const consentId = await lodgeAccounts(server, 'acorn')
  const page = await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId), prompt: 'login' }))
  const second = await customer.submit(page, { username: 'carol', password: carol.password })
  const choose = await customer.submit(second, { code: await freshCode(server, carol) })
  const { code = '' } = responseOf(await customer.agree(choose, carol.accounts.slice(0, 1)))
  assert.equal((await acorn.redeem(code)).status, 200)
  assert.equal((await readConsent(server, consentId)).customer_id, carol.customerId)
})

test('CX-04 an app of the bank asks for nothing more than to sign in, and then for nothing', async () => {
  const customer = new CustomerAtBrowser(server, ada)
  const signIn = await customer.open(app, await pushed(app, { scope: firstPartyScopes }))
  assert.equal(heading(signIn), 'Sign in to Bankside')
  const { code = '' } = responseOf(await customer.signIn(signIn))
  const tokens = await app.redeem(code)
  assert.equal(tokens.json['scope'], firstPartyScopes)
  const token = decodeJwt(String(tokens.json['access_token']))
  assert.deepEqual([token.sub, token.aud, token['consent_id']], [ada.customerId, server.audiences.bank, undefined])
  assert.equal(decodeJwt(String(tokens.json['id_token']))['name'], 'Full ada')
  assert.equal((await app.refresh(String(tokens.json['refresh_token']))).status, 200)
  responseOf(await customer.open(app, await pushed(app, { scope: firstPartyScopes })))
})

const transferOf = (from: string | undefined, to: string | undefined) =>
  JSON.stringify([
    {
      type: 'payment_initiation',
      instructedAmount: { amount: '12.34', currency: 'GBP' },
      debtorAccount: { account_id: from },
      creditorAccount: { account_id: to },
      remittanceInformation: 'Rent',
    },
  ])

test('STEP-02 STEP-03 RAR-03 a transfer of the bank’s own API is shown, confirmed, and comes back with its consent', async () => {
  const bob = await enterCustomer(server, 'dave')
  const customer = new CustomerAtBrowser(server, ada)
  responseOf(await customer.signIn(await customer.open(app, await pushed(app, { scope: firstPartyScopes }))))
  const authorization_details = transferOf(ada.accounts[0], bob.accounts[0])
  const page = await customer.open(
    app,
    await pushed(app, { scope: 'openid payments:write', authorization_details, acr_values: 'urn:openbanking:psd2:sca' }),
  )
  assert.equal(heading(page), 'Enter your code for this payment')
  const confirm = await customer.enterCode(page)
  assert.match(confirm.text, /£12\.34/)
  assert.match(confirm.text, /Full dave/)
  assert.match(confirm.text, /Rent/)
  const { code = '' } = responseOf(await customer.agree(confirm, [formOf(confirm).fields.get('account') ?? '']))
  const tokens = await app.redeem(code)
  const token = decodeJwt(String(tokens.json['access_token']))
  const consentId = String(token['consent_id'])
  const [granted] = tokens.json['authorization_details'] as Record<string, unknown>[]
  assert.equal(granted?.['consent_id'], consentId)
  assert.deepEqual(granted?.['debtorAccount'], { account_id: ada.accounts[0] })
  assert.deepEqual([token['acr'], tokens.json['refresh_token']], ['urn:openbanking:psd2:sca', undefined])
  const row = await server.owner.one(
    sql.unsafe`select kind, status, debtor_account_id from consents.consent where consent_id = ${consentId}`,
  )
  assert.deepEqual({ ...(row as object) }, { kind: 'transfer', status: 'AUTH', debtor_account_id: ada.accounts[0] })
})

test('RW-TOK-01 a transfer from an account that is not the customer’s is refused once they have signed in', async () => {
  const bob = await enterCustomer(server, 'frank')
  const customer = new CustomerAtBrowser(server, ada)
  const authorization_details = transferOf(bob.accounts[0], ada.accounts[0])
  const page = await customer.open(app, await pushed(app, { scope: 'openid payments:write', authorization_details }))
  const end = await customer.signIn(page)
  assert.match(end.text, /You have no account for this payment/)
  assert.equal(responseOf(await customer.browser.follow(await customer.browser.get(leaveHref(end))))['error'], 'access_denied')
})
