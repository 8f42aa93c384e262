import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { revokeConsent } from '@bankside/bank/consents/revoke-consent'
import { sql, transact } from '@bankside/service-kit/postgres'
import { pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { callGrant } from './testing/grants-client.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let bob: TestCustomer
let acorn: ThirdParty
let cobalt: ThirdParty
const scope = 'openid accounts payments grant_management_query grant_management_revoke'

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  bob = await enterCustomer(server, 'bob')
  acorn = await ThirdParty.register(server, 'acorn', { metadata: { scope } })
  cobalt = await ThirdParty.register(server, 'cobalt', { metadata: { scope } })
})
after(() => server.stop())

type Params = Record<string, string | undefined>
const basic = ['ReadAccountsBasic', 'ReadBalances']
const information = (permissions: readonly string[], more: object = {}) => ({
  authorization_details: JSON.stringify([{ type: 'account_information', permissions, ...more }]),
})
const payment = {
  scope: 'openid payments',
  authorization_details: JSON.stringify([
    {
      ...{ type: 'payment_initiation', instructionIdentification: 'I1', endToEndIdentification: 'E1' },
      instructedAmount: { amount: '1.00', currency: 'GBP' },
      creditorAccount: { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000555555555', name: 'ACME Inc' },
    },
  ]),
}
const unknown = `gnt_${'0'.repeat(32)}`
const create = { grant_management_action: 'create' }
const change = (action: 'merge' | 'replace', grant_id: string) => ({ grant_management_action: action, grant_id })

/** The customer agrees to what is pushed, and the code is redeemed. */
async function agreed(params: Params, { customer = ada, at = new CustomerAtBrowser(server, customer), client = acorn } = {}) {
  const opened = await at.open(client, await pushed(client, params))
  const page = /name="password"/.test(opened.text) ? await at.signIn(opened) : opened
  const response = responseOf(await at.agree(page, customer.accounts.slice(0, 1)))
  const tokens = await client.redeem(response['code'] ?? '')
  return { at, page, response, tokens, ...partsOf(tokens) }
}

const partsOf = ({ json }: Answer) => ({
  grantId: String(json['grant_id']),
  refreshToken: String(json['refresh_token']),
  consentId: String((json['authorization_details'] as { consent_id: string }[] | undefined)?.[0]?.consent_id),
})
const words = ({ text }: Answer) =>
  text
    .replace(/<head>.*?<\/head>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/[\u2066-\u2069]/g, '')
    .replace(/\s+/g, ' ')

const refused: readonly (readonly [string, Params, string])[] = [
  ['GM-03 a grant_id without an action', { grant_id: unknown }, 'invalid_request'],
  ['GM-03 a grant_id for a grant that is to be created', { ...create, grant_id: unknown }, 'invalid_request'],
  ['GM-03 an action that nobody knows', { grant_management_action: 'update', grant_id: unknown }, 'invalid_request'],
  ['GM-03 a merge with nothing', { grant_management_action: 'merge' }, 'invalid_request'],
  ['GM-03 a replacement of nothing', { grant_management_action: 'replace' }, 'invalid_request'],
  ['GM-02 a grant that nobody knows', change('merge', unknown), 'invalid_grant_id'],
  ['GM-02 an id that is none', change('replace', `gnt_'; drop table--`), 'invalid_grant_id'],
  ['GM-02 an id of another kind', change('replace', `con_${'0'.repeat(32)}`), 'invalid_grant_id'],
]
for (const [what, params, error] of refused)
  test(`${what} is refused when it is pushed`, async () =>
    assert.equal(refusal(await acorn.push({ ...information(basic), ...params })), `400 ${error}`))

test('GM-04 the grant is named with the tokens, every time, and not in the browser; without an action there is none', async () => {
  const { response, tokens, grantId, refreshToken } = await agreed({ ...information(basic), ...create })
  assert.match(grantId, /^gnt_[0-9a-f]{32}$/)
  assert.ok(!JSON.stringify(response).includes('gnt_'))
  assert.equal((await acorn.refresh(refreshToken)).json['grant_id'], grantId)
  assert.ok(!String(tokens.json['access_token']).includes(grantId))
  assert.equal((await agreed(information(basic))).tokens.json['grant_id'], undefined)
})

test('GM-04 GM-12 a lodged UK consent and a payment are managed grants too, when that is asked for', async () => {
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  assert.match((await agreed({ claims, ...create })).grantId, /^gnt_/)
  assert.match((await agreed({ ...payment, ...create })).grantId, /^gnt_/)
})

test('GM-01 the browser’s address brings no action', async () => {
  const { grantId, refreshToken, at } = await agreed({ ...information(basic), ...create })
  const requestUri = await pushed(acorn, information(['ReadAccountsBasic', 'ReadPAN']))
  const query = new URLSearchParams({ client_id: 'acorn', request_uri: requestUri, ...change('merge', grantId) })
  const page = await at.browser.follow(await at.browser.get(`/auth?${query}`))
  assert.doesNotMatch(words(page), /What changes/)
  responseOf(await at.agree(page, ada.accounts.slice(0, 1)))
  assert.equal((await acorn.refresh(refreshToken)).status, 200, 'the grant is untouched')
})

test('GM-05 CX-AIS-08 merge adds: the page says what is new and what is whole, and earlier tokens are dead', async () => {
  const before = await agreed({ ...information(basic, { expirationDateTime: '2090-01-01T00:00:00Z' }), ...create })
  const added = information(['ReadAccountsBasic', 'ReadDirectDebits'], { expirationDateTime: '2095-01-01T00:00:00Z' })
  const after = await agreed({ ...added, ...change('merge', before.grantId) }, { at: before.at })
  const text = words(after.page)
  assert.match(text, /Change what you share with Client acorn/)
  assert.match(text, /What changes New Your direct debits Sharing lasts Until 1 January 2095 Before: Until 1 January 2090/)
  assert.match(text, /after the change Your account details .*Your account balance.*Your regular payments Your direct debits/)
  assert.equal(after.page.text.match(/\bchecked\b/g)?.length, 1, 'CON-07 the accounts of before')

  assert.equal(after.grantId, before.grantId)
  assert.notEqual(after.consentId, before.consentId)
  const [detail] = after.tokens.json['authorization_details'] as Record<string, unknown>[]
  assert.deepEqual(detail?.['permissions'], [...basic, 'ReadDirectDebits'])
  assert.equal(detail?.['expirationDateTime'], '2095-01-01T00:00:00Z')
  assert.equal(refusal(await acorn.refresh(before.refreshToken)), '400 invalid_grant')
  assert.equal((await acorn.refresh(after.refreshToken)).status, 200)
  const old = await readConsent(server, before.consentId)
  assert.deepEqual([old.status, old.status_reason_code], ['CANC', 'NARR'])
})

test('GM-05 a date that a merge does not name stays: adding a permission never makes an access endless', async () => {
  const dates = { expirationDateTime: '2090-01-01T00:00:00Z', transactionFromDateTime: '2026-01-01T00:00:00Z' }
  const before = await agreed({ ...information(basic, dates), ...create })
  const after = await agreed({ ...information(['ReadAccountsBasic', 'ReadPAN']), ...change('merge', before.grantId) }, { at: before.at })
  assert.doesNotMatch(words(after.page), /Before:/)
  const [detail] = after.tokens.json['authorization_details'] as Record<string, unknown>[]
  assert.deepEqual([detail?.['expirationDateTime'], detail?.['transactionFromDateTime']], Object.values(dates))
})

test('GM-05 replace substitutes: what is no longer shared is said, whatever took its place', async () => {
  const before = await agreed({ ...information([...basic, 'ReadPAN']), ...create })
  const after = await agreed(
    { ...information(['ReadAccountsBasic', 'ReadDirectDebits']), ...change('replace', before.grantId) },
    { at: before.at },
  )
  assert.match(words(after.page), /New Your direct debits No longer shared Your account balance Your card number/)
  assert.equal(after.grantId, before.grantId)
  assert.equal(refusal(await acorn.refresh(before.refreshToken)), '400 invalid_grant')

  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const third = await agreed({ claims, ...change('replace', before.grantId) }, { at: before.at })
  assert.match(words(third.page), /What changes/)
  assert.equal(third.grantId, before.grantId)
  assert.equal(refusal(await acorn.refresh(after.refreshToken)), '400 invalid_grant')
})

test('GM-05 CON-07 replacing a grant’s consent by itself is a renewal', async () => {
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const before = await agreed({ claims, ...create })
  const after = await agreed({ claims, ...change('replace', before.grantId) }, { at: before.at })
  assert.match(words(after.page), /Keep sharing account information/)
  assert.equal(after.grantId, before.grantId)
  assert.equal(refusal(await acorn.refresh(before.refreshToken)), '400 invalid_grant')
})

test('CX-07 who cancels a change keeps what was', async () => {
  const before = await agreed({ ...information(basic), ...create })
  const page = await before.at.open(
    acorn,
    await pushed(acorn, { ...information(['ReadAccountsBasic', 'ReadPAN']), ...change('merge', before.grantId) }),
  )
  assert.match(words(page), /If you cancel, nothing changes/)
  assert.equal(responseOf(await before.at.submit(page, { action: 'cancel' }))['error'], 'access_denied')
  assert.equal((await acorn.refresh(before.refreshToken)).json['grant_id'], before.grantId)
})

test('GM-03 what does not fit is refused: a payment for an access, an access for a payment, a merge with a lodged consent', async () => {
  const access = await agreed({ ...information(basic), ...create })
  const paying = await agreed({ ...payment, ...create })
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const toPay = { claims: intentClaim(await lodgePayment(server, 'acorn')), scope: 'openid payments' }
  for (const params of [
    { ...payment, ...change('replace', access.grantId) },
    { ...payment, ...change('merge', access.grantId) },
    { ...toPay, ...change('replace', access.grantId) },
    { ...information(basic), ...change('replace', paying.grantId) },
    { ...payment, ...change('merge', paying.grantId) },
    { claims, ...change('merge', access.grantId) },
  ])
    assert.equal(refusal(await acorn.push(params)), '400 invalid_request')
})

test('GM-02 GM-11 another client’s grant is no grant: not to change, not to look at, not to revoke', async () => {
  const { grantId, refreshToken } = await agreed({ ...information(basic), ...create })
  for (const action of ['merge', 'replace'] as const)
    assert.equal(refusal(await cobalt.push({ ...information(basic), ...change(action, grantId) })), '400 invalid_grant_id')
  assert.equal((await callGrant(cobalt, 'GET', grantId)).status, 404)
  assert.equal((await callGrant(cobalt, 'DELETE', grantId)).status, 404)
  assert.equal((await acorn.refresh(refreshToken)).status, 200)
})

test('GM-02 another customer’s grant is invalid_grant_id once they have signed in, and stays as it was', async () => {
  const { grantId, refreshToken } = await agreed({ ...information(basic), ...create })
  const params = { ...information(['ReadAccountsBasic', 'ReadPAN']), ...change('merge', grantId) }
  const leave = async (at: CustomerAtBrowser, end: Answer) => {
    assert.match(words(end), /for another customer/)
    const [, href = ''] = /href="(\/interaction\/[^"]+\/leave)"/.exec(end.text) ?? []
    return responseOf(await at.browser.follow(await at.browser.get(href)))['error']
  }
  const signingIn = new CustomerAtBrowser(server, bob)
  assert.equal(await leave(signingIn, await signingIn.signIn(await signingIn.open(acorn, await pushed(acorn, params)))), 'invalid_grant_id')
  const { at } = await agreed(information(basic), { customer: bob })
  assert.equal(await leave(at, await at.open(acorn, await pushed(acorn, params))), 'invalid_grant_id', 'with a session')
  assert.equal((await acorn.refresh(refreshToken)).status, 200)
})

test('GM-02 a grant that is revoked between push and page, or page and button, is not changed any more', async () => {
  const begin = async () => {
    const before = await agreed({ ...information(basic), ...create })
    const requestUri = await pushed(acorn, { ...information(['ReadAccountsBasic', 'ReadPAN']), ...change('merge', before.grantId) })
    const revoke = () =>
      transact(server.owner, (tx) => revokeConsent(tx, { consentId: before.consentId, customerId: ada.customerId, now: new Date() }))
    return { ...before, requestUri, revoke }
  }
  const first = await begin()
  await first.revoke()
  assert.equal(responseOf(await first.at.open(acorn, first.requestUri))['error'], 'invalid_grant_id')
  const second = await begin()
  const page = await second.at.open(acorn, second.requestUri)
  await second.revoke()
  const end = await second.at.agree(page, ada.accounts.slice(0, 1))
  const [, href = ''] = /href="(\/interaction\/[^"]+\/leave)"/.exec(end.text) ?? []
  assert.equal(responseOf(await second.at.browser.follow(await second.at.browser.get(href)))['error'], 'invalid_grant_id')
})

test('GM-05 two changes of one grant, decided at once: one wins, the other changes nothing', async () => {
  const before = await agreed({ ...information(basic), ...create })
  const others = [before.at, new CustomerAtBrowser(server, ada)]
  const pages: Answer[] = []
  for (const [index, at] of others.entries()) {
    const params = { ...information(['ReadAccountsBasic', index === 0 ? 'ReadPAN' : 'ReadOffers']), ...change('merge', before.grantId) }
    const opened = await at.open(acorn, await pushed(acorn, params))
    pages.push(/name="password"/.test(opened.text) ? await at.signIn(opened) : opened)
  }
  const ends = await Promise.all(others.map((at, index) => at.agree(pages[index] as Answer, ada.accounts.slice(0, 1))))
  const codes = ends.map((end) => (end.status === 303 ? responseOf(end)['code'] : undefined)).filter((code) => code !== undefined)
  assert.equal(codes.length, 1)
  const live = await server.owner.any(sql.unsafe`select status from consents.consent where managed_grant_id = ${before.grantId}`)
  assert.deepEqual(
    live.map((row) => ({ ...(row as object) })),
    [{ status: 'AUTH' }],
  )
})

test('GM-05 FAPI2-AZ-15 a pushed change is carried out once, whoever replays it', async () => {
  const before = await agreed({ ...information(basic), ...create })
  const requestUri = await pushed(acorn, { ...information(['ReadAccountsBasic', 'ReadPAN']), ...change('merge', before.grantId) })
  const page = await before.at.open(acorn, requestUri)
  const { code = '' } = responseOf(await before.at.agree(page, ada.accounts.slice(0, 1)))
  const again = await before.at.open(acorn, requestUri)
  assert.equal(again.status, 400)
  assert.equal((await acorn.refresh(partsOf(await acorn.redeem(code)).refreshToken)).status, 200)
})

test('a code of before a change is worth nothing after it', async () => {
  const at = new CustomerAtBrowser(server, ada)
  const page = await at.signIn(await at.open(acorn, await pushed(acorn, { ...information(basic), ...create })))
  const { code = '' } = responseOf(await at.agree(page, ada.accounts.slice(0, 1)))
  const grantId = String(
    await server.owner.oneFirst(
      sql.unsafe`select managed_grant_id from consents.consent where managed_grant_id is not null order by authorised_at desc limit 1`,
    ),
  )
  await agreed({ ...information(basic), ...change('replace', grantId) }, { at })
  assert.equal(refusal(await acorn.redeem(code)), '400 invalid_grant')
})

test('GM-06 what came by detail must be claimed by redeeming its code; a lodged consent, and a grant that is known, need not', async () => {
  const claimBefore = async () =>
    server.owner.oneFirst(sql.unsafe`select extract(epoch from claim_before - now())::int from oidc.grant order by created_at desc limit 1`)
  const authorise = async (params: Params, at: CustomerAtBrowser) => {
    const opened = await at.open(acorn, await pushed(acorn, params))
    const page = /name="password"/.test(opened.text) ? await at.signIn(opened) : opened
    return responseOf(await at.agree(page, ada.accounts.slice(0, 1)))['code'] ?? ''
  }
  const at = new CustomerAtBrowser(server, ada)
  const code = await authorise({ ...information(basic), ...create }, at)
  assert.ok(Number(await claimBefore()) > 3_500)
  const { grantId } = partsOf(await acorn.redeem(code))
  assert.equal(await claimBefore(), null, 'claimed')
  await authorise({ ...information(basic), ...change('replace', grantId) }, at)
  assert.equal(await claimBefore(), null, 'an answer that is lost never costs the grant: its client knows it')
  await authorise({ claims: intentClaim(await lodgeAccounts(server, 'acorn')), ...create }, at)
  assert.equal(await claimBefore(), null)
})
