import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, z } from '@bankside/service-kit/postgres'
import { decodeJwt } from 'jose'
import { pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(() => server.stop())

const permissions = ['ReadAccountsBasic', 'ReadBalances']
const nextYear = new Date(Date.now() + 365 * 86_400_000).toISOString()
const information = (change: object = {}) => ({ type: 'account_information', permissions, expirationDateTime: nextYear, ...change })
const payment = (change: object = {}) => ({
  type: 'payment_initiation',
  instructionIdentification: 'ACME412',
  endToEndIdentification: 'FRESCO.21302.GFX.20',
  instructedAmount: { amount: '165.88', currency: 'GBP' },
  creditorAccount: { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000555555555', name: 'ACME Inc' },
  remittanceInformation: { reference: 'FRESCO-101', unstructured: 'Internal ops code 5120101' },
  ...change,
})
const details = (...list: object[]) => ({ authorization_details: JSON.stringify(list) })
const paying = (...list: object[]) => ({ scope: 'openid payments', ...details(...list) })

const past = '2020-01-01T00:00:00Z'
const refused: readonly (readonly [string, Record<string, string>])[] = [
  ['RAR-01 information with an unknown member', details(information({ surprise: 1 }))],
  ['RAR-01 information without permissions', details({ type: 'account_information' })],
  ['RAR-01 information with no permission in its list', details(information({ permissions: [] }))],
  ['RAR-01 permissions that are no list', details(information({ permissions: 'ReadBalances' }))],
  ['RAR-01 AIS-02 a permission that nobody knows', details(information({ permissions: ['ReadAccountsBasic', 'ReadMinds'] }))],
  ['RAR-01 AIS-03 permissions that make no sense together', details(information({ permissions: ['ReadBalances'] }))],
  ['RAR-01 an expiry in the past', details(information({ expirationDateTime: past }))],
  ['RAR-01 an expiry that is no date', details(information({ expirationDateTime: 'soon' }))],
  ['RAR-01 an expiry without a zone', details(information({ expirationDateTime: '2030-01-01T00:00:00' }))],
  ['RAR-01 a day that no calendar has', details(information({ expirationDateTime: '2030-02-30T00:00:00Z' }))],
  [
    'RAR-01 AIS-05 a window that ends before it begins',
    details(information({ transactionFromDateTime: nextYear, transactionToDateTime: past })),
  ],
  ['RAR-01 information twice', details(information(), information())],
  ['RAR-01 information and a payment at once', details(information(), payment())],
  ['RAR-01 information that is longer than any', details(information({ permissions: Array(900).fill('ReadBalances') }))],
  [
    'RAR-03 accounts are chosen by the customer, not asked for',
    details(information({ accounts: [{ account_id: `acc_${'0'.repeat(32)}` }] })),
  ],
  ['RAR-03 a consent cannot be named beside its terms', details(information({ consent_id: `con_${'0'.repeat(32)}` }))],
  ['RAR-01 a payment with an unknown member', paying(payment({ surprise: 1 }))],
  ['RAR-01 a payment of nothing', paying(payment({ instructedAmount: { amount: '0.00', currency: 'GBP' } }))],
  ['RAR-01 a payment with half a penny', paying(payment({ instructedAmount: { amount: '1.005', currency: 'GBP' } }))],
  ['RAR-01 PIS-06 a payment over the limit', paying(payment({ instructedAmount: { amount: '25000.01', currency: 'GBP' } }))],
  ['RAR-01 a payment in a currency that cannot be paid', paying(payment({ instructedAmount: { amount: '1', currency: 'JPY' } }))],
  ['RAR-01 an amount as a number', paying(payment({ instructedAmount: { amount: 1, currency: 'GBP' } }))],
  ['RAR-01 a payment to nobody', paying({ ...payment(), creditorAccount: undefined })],
  [
    'RAR-01 PIS-04 a sort code and number of 13 digits',
    paying(payment({ creditorAccount: { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '2000055555555', name: 'A' } })),
  ],
  [
    'RAR-01 a payee whose name no scheme carries',
    paying(
      payment({ creditorAccount: { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000555555555', name: 'A\u202eB' } }),
    ),
  ],
  ['RAR-01 remittance information that says nothing', paying(payment({ remittanceInformation: {} }))],
  ['RAR-02 the detail of an app of the bank', paying(payment({ debtorAccount: { account_id: `acc_${'0'.repeat(32)}` } }))],
]
for (const [what, params] of refused)
  test(`${what} is refused when it is pushed`, async () =>
    assert.equal(refusal(await acorn.push(params)), '400 invalid_authorization_details'))

test('RAR-01 RW-TOK-08 what is asked by detail needs the scope of its kind, no more and no less', async () => {
  for (const [scope, detail] of [
    ['openid payments', information()],
    ['openid', information()],
    ['openid accounts payments', information()],
    ['openid accounts', payment()],
  ] as const)
    assert.equal(refusal(await acorn.push({ ...details(detail), scope })), '400 invalid_scope')
})

test('RW-TOK-07 terms in a detail and a consent in the claims are two requests', async () => {
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  assert.equal(refusal(await acorn.push({ ...details(information()), claims })), '400 invalid_request')
})

test('RAR-02 a client asks by the types that it registered, within its scopes', async () => {
  const types = { authorization_details_types: ['openbanking_consent', 'payment_initiation'] }
  const payer = await ThirdParty.register(server, 'payer', { metadata: { scope: 'openid accounts payments', ...types } })
  assert.equal(refusal(await payer.push(details(information()))), '400 invalid_authorization_details')
  assert.equal(refusal(await payer.push(paying(payment()))), '201 undefined')
  const reader = await ThirdParty.register(server, 'reader', { metadata: { scope: 'openid accounts' } })
  assert.equal(refusal(await reader.push({ ...paying(payment()), scope: 'openid accounts' })), '400 invalid_authorization_details')
  assert.equal(refusal(await reader.push(details(information()))), '201 undefined')
})

test('RAR-06 a detail in the browser’s address is not looked at', async () => {
  const requestUri = await pushed(acorn, details(information()))
  const customer = new CustomerAtBrowser(server, ada)
  const wider = encodeURIComponent(JSON.stringify([information({ permissions: ['ReadAccountsBasic', 'ReadPAN'] })]))
  const first = await customer.browser.get(
    `/auth?client_id=acorn&request_uri=${encodeURIComponent(requestUri)}&authorization_details=${wider}`,
  )
  const choose = await customer.signIn(await customer.browser.follow(first))
  assert.doesNotMatch(choose.text, /Your card number/)
})

async function agreedTo(params: Record<string, string>, accounts: readonly string[]) {
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(acorn, await pushed(acorn, params)))
  const { code = '' } = responseOf(await customer.agree(page, accounts))
  return { page, customer, tokens: await acorn.redeem(code) }
}

type Detail = Record<string, unknown> & { consent_id: string }
const detailIn = ({ json }: Pick<Answer, 'json'>) => (json['authorization_details'] as Detail[])[0] as Detail
const tokenOf = ({ json }: Answer) => decodeJwt(String(json['access_token']))

test('FAPI2-AZ-17 RAR-03 RAR-05 CX-AIS-02 account information by detail: the same page, the same row as a lodged consent, enriched with what was chosen', async () => {
  const asked = information({ transactionFromDateTime: '2026-01-01T00:00:00+00:00' })
  const { page, tokens } = await agreedTo(details(asked), [ada.accounts[1] ?? ''])
  assert.match(page.text, /Share account information with/)
  assert.match(page.text, /Your account balance/)
  assert.doesNotMatch(page.text, /\bchecked\b/)
  const granted = detailIn(tokens)
  assert.deepEqual(granted, { ...asked, consent_id: granted.consent_id, accounts: [{ account_id: ada.accounts[1] }] }, 'RAR-03')
  const { accounts: _named, ...withoutAccounts } = granted
  assert.deepEqual(tokenOf(tokens)['authorization_details'], [withoutAccounts], 'RAR-05')
  assert.equal(tokenOf(tokens)['consent_id'], granted.consent_id)

  const row = await server.owner.one(
    sql.type(
      z.object({ status: z.string(), kind: z.string(), permissions: z.array(z.string()), request: z.unknown(), grant_id: z.string() }),
    )`
      select status, kind, permissions, request, grant_id from consents.consent where consent_id = ${granted.consent_id}`,
  )
  assert.deepEqual(
    { ...row },
    {
      ...{ status: 'AUTH', kind: 'account_access', permissions, grant_id: tokenOf(tokens)['grant_id'] },
      request: {
        Data: { Permissions: permissions, ExpirationDateTime: nextYear, TransactionFromDateTime: '2026-01-01T00:00:00+00:00' },
        Risk: {},
      },
    },
  )
  assert.ok(tokens.json['refresh_token'])
})

test('RAR-03 RW-TOK-04 a consent that came by detail is renewed by its id, as a lodged one', async () => {
  const { tokens } = await agreedTo(details(information()), [ada.accounts[0] ?? ''])
  const { consent_id } = detailIn(tokens)
  const renewed = await agreedTo(details({ type: 'openbanking_consent', consent_id }), [ada.accounts[1] ?? ''])
  assert.match(renewed.page.text, /Keep sharing/)
  assert.equal(refusal(await acorn.refresh(String(tokens.json['refresh_token']))), '400 invalid_grant')
  assert.equal(tokenOf(renewed.tokens)['consent_id'], consent_id)
})

test('RAR-04 a token may be for fewer permissions and accounts, and never for more', async () => {
  const { tokens } = await agreedTo(details(information()), ada.accounts.slice(0, 2))
  const refresh = (wanted: object) =>
    acorn.refresh(String(tokens.json['refresh_token']), details({ type: 'account_information', ...wanted }))
  const [first, second, third] = ada.accounts.map((account_id) => ({ account_id }))
  const { consent_id } = detailIn(tokens)

  const narrowed = await refresh({ consent_id, permissions: ['ReadAccountsBasic'], accounts: [second] })
  assert.deepEqual(detailIn(narrowed), { ...detailIn(tokens), permissions: ['ReadAccountsBasic'], accounts: [second] })
  assert.deepEqual(tokenOf(narrowed)['authorization_details'], [detailIn(narrowed)])
  assert.deepEqual(detailIn(await refresh({})), detailIn(tokens), 'the next token is for the whole again')

  for (const wider of [
    { permissions: [...permissions, 'ReadPAN'] },
    { permissions: ['ReadTransactionsDetail'] },
    { accounts: [first, third] },
    { accounts: [{ account_id: `acc_${'0'.repeat(32)}` }] },
    { accounts: [{ ...first, more: 1 }] },
    { accounts: [] },
    { accounts: 'all' },
    { expirationDateTime: '2099-01-01T00:00:00Z' },
    { consent_id: `con_${'0'.repeat(32)}` },
    { transactionFromDateTime: '2000-01-01T00:00:00Z' },
    { surprise: 1 },
  ])
    assert.equal(refusal(await refresh(wider)), '400 invalid_authorization_details', JSON.stringify(wider))
  const other = details({ type: 'payment_initiation' })
  assert.equal(refusal(await acorn.refresh(String(tokens.json['refresh_token']), other)), '400 invalid_authorization_details')
})

test('RAR-03 CX-PIS-01 CX-PIS-04 PIS-08 a payment by detail: payee and amount on its pages, the second factor for itself, and nothing said of who pays', async () => {
  const { page, tokens, customer } = await agreedTo(paying(payment({ readRefundAccount: true })), [ada.accounts[0] ?? ''])
  assert.match(page.text, /Pay £165\.88 to /)
  assert.match(page.text, /FRESCO-101/)
  assert.match(page.text, /so that it can pay you back/)
  const granted = detailIn(tokens)
  assert.deepEqual(granted, { ...payment({ readRefundAccount: true }), consent_id: granted.consent_id })
  assert.equal(tokens.json['refresh_token'], undefined)
  assert.equal((await readConsent(server, granted.consent_id)).status, 'AUTH')

  const again = await acorn.push({ ...paying({ type: 'openbanking_consent', consent_id: granted.consent_id }) })
  assert.equal(refusal(again), '400 invalid_request', 'CON-06')
  const none = await customer.open(acorn, await pushed(acorn, { ...paying(payment()), prompt: 'none' }))
  assert.equal(responseOf(none)['error'], 'login_required', 'no session spares its second factor')
})

test('PIS-07 CON-05 a payment by detail from an account that is not the customer’s is rejected once they have signed in', async () => {
  const debtorAccount = { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000599999999' }
  const customer = new CustomerAtBrowser(server, ada)
  const end = await customer.signIn(await customer.open(acorn, await pushed(acorn, paying(payment({ debtorAccount })))))
  assert.equal(end.status, 400)
  const row = await server.owner.one(sql.type(z.object({ status: z.string(), status_reason_code: z.string() }))`
    select status, status_reason_code from consents.consent where debtor_identification = '20000599999999'`)
  assert.deepEqual({ ...row }, { status: 'RJCT', status_reason_code: 'AC01' })
})

test('CON-05 a cancelled request by detail leaves a rejected row, and a push that nobody opens leaves none', async () => {
  const count = () => server.owner.oneFirst(sql.type(z.object({ n: z.int() }))`select count(*)::int as n from consents.consent`)
  const before = await count()
  const requestUri = await pushed(acorn, details(information()))
  assert.equal(await count(), before, 'nothing is lodged by pushing')
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.open(acorn, requestUri)
  assert.equal(await count(), before + 1)
  assert.equal(responseOf(await customer.submit(page, { action: 'cancel' }))['error'], 'access_denied')
  const status = await server.owner.oneFirst(
    sql.type(z.object({ status: z.string() }))`select status from consents.consent order by created_at desc limit 1`,
  )
  assert.equal(status, 'RJCT')
})

test('FAPI2-AZ-15 a pushed detail that is opened in two browsers ends with one consent', async () => {
  const requestUri = await pushed(acorn, details(information()))
  const [one, other] = [new CustomerAtBrowser(server, ada), new CustomerAtBrowser(server, ada)]
  const pages = [await one.signIn(await one.open(acorn, requestUri)), await other.signIn(await other.open(acorn, requestUri))] as const
  assert.ok(responseOf(await one.agree(pages[0], ada.accounts.slice(0, 1)))['code'])
  assert.equal((await other.agree(pages[1], ada.accounts.slice(0, 1))).status, 400)
})
