import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { AccountId } from '@bankside/bank/ids'
import { changed, paymentConsentBody } from './testing/payment-bodies.ts'
import type { Answer, Request, TestClient } from './testing/test-client.ts'
import { audiences } from './testing/test-issuer.ts'
import { everyScope, startTestWorld, strong, type TestWorld } from './testing/test-world.ts'

const uk = '/open-banking/v4.0'
const accounts = `${uk}/aisp/accounts`
const bankAccounts = '/api/v1/accounts'
const all = ['ReadAccountsBasic', 'ReadBalances', 'ReadTransactionsBasic', 'ReadTransactionsCredits', 'ReadTransactionsDebits']
let world: TestWorld
let mine: AccountId
/** Of a customer who shares an account, and who pays; both by Acorn. And of the bank's app. */
let tokens: { sharing: string; paying: string; app: string; acorn: string }
let paymentConsent: string

before(async () => {
  world = await startTestWorld()
  mine = world.ada.accounts[0]?.id as AccountId
  const acorn = await world.clientToken(world.acorn, 'openid accounts payments')
  const lodged = await world.acorn.send('POST', `${uk}/pisp/domestic-payment-consents`, {
    ...{ token: acorn, body: paymentConsentBody({ amount: '1.00' }) },
    headers: { 'x-idempotency-key': randomUUID() },
  })
  paymentConsent = lodged.body.Data.ConsentId
  tokens = {
    acorn,
    sharing: await share(world.acorn),
    paying: await world.authorise(world.acorn, paymentConsent, world.ada, [mine], 'openid accounts payments'),
    app: await world.appToken(world.ada),
  }
  // Each page has one hundred.
  await world.book(mine, Array(101).fill(1n), new Date('2031-01-01T00:00:00Z'))
})
after(() => world.close())

async function share(client: TestClient): Promise<string> {
  const token = await world.clientToken(client, 'accounts')
  const body = { Data: { Permissions: all }, Risk: {} }
  const lodged = await client.send('POST', `${uk}/aisp/account-access-consents`, { token, body })
  return world.authorise(client, lodged.body.Data.ConsentId, world.ada, [mine], 'openid accounts payments')
}

const get = (path: string, request: Request = {}) => world.acorn.send('GET', path, { token: tokens.sharing, ...request })
const errors = ({ status, body }: Answer) => [
  status,
  ...(body?.Errors ?? []).map((error: Record<string, string>) => `${error['ErrorCode']} ${error['Path']}`),
]

test('RW-H-14 DPOP-01 a second token or proof, beside the first or behind a comma, opens nothing', async () => {
  const proof = () => world.acorn.prove('GET', accounts, tokens.sharing)
  const good = `DPoP ${tokens.sharing}`
  assert.deepEqual(errors(await get(accounts, { headers: { authorization: [good, good] } })), [400, 'U006 authorization'])
  for (const authorization of [
    `${good}, ${good}`,
    `${good},Bearer x`,
    `Basic eA==, ${good}`,
    `${good} `.repeat(2),
    `DPoP\t${tokens.sharing}`,
  ])
    assert.equal((await get(accounts, { headers: { authorization } })).status, 401, authorization.slice(0, 20))
  const [one, other] = [await proof(), await proof()]
  for (const wrong of [[one, other], `${one}, ${other}`, `${one},`, `${one} `.repeat(2), [one, '']])
    assert.equal((await get(accounts, { proof: wrong })).status, 401)
  assert.equal((await get(accounts, { token: tokens.sharing, scheme: 'Bearer' })).status, 401)
  assert.equal((await get(accounts, { proof: undefined })).status, 401)
})

test('RW-URI-04 FAPI2-RS-02 no other spelling of a path leads anywhere', async () => {
  const paths = [
    ...[`${accounts}/`, `/${accounts}`, accounts.replace('aisp', 'AISP'), accounts.replace('/aisp', '//aisp'), `${accounts};x=1`],
    ...[accounts.replace('/accounts', '%2Faccounts'), accounts.replace('accounts', '%61ccounts'), `${accounts}%00`, `${accounts}%3F`],
    ...[`/api/v1/../..${accounts}`, `${uk}/./aisp/accounts`, `${uk}/pisp/../aisp/accounts`, `${uk}/pisp/%2e%2e/aisp/accounts`],
    ...[
      '/open-banking/v4/aisp/accounts',
      '/open-banking/v04.0/aisp/accounts',
      `${uk}/aisp\\accounts`,
      '/api/v1/Accounts',
      '/api//v1/accounts',
    ],
  ]
  for (const path of paths) assert.equal((await get(path, { proof: undefined })).status, 404, path)
  // One segment stays one segment.
  for (const id of [`${mine}%2Fbalances`, `${mine}%20`, mine.toUpperCase(), `%61${mine.slice(1)}`, `${mine}%00`])
    assert.deepEqual(errors(await get(`${accounts}/${id}`)), [403, 'U011 AccountId'], id)
  // No proof is for such a URL.
  for (const id of ['..', '.', '%2e%2e']) assert.equal((await get(`${accounts}/${id}`)).status, 401, id)
})

test('RW-ST-07 a method is what the request line says', async () => {
  const headers = { 'x-http-method-override': 'DELETE', 'x-http-method': 'DELETE', 'x-method-override': 'DELETE' }
  const { ConsentId } = (
    await world.acorn.send('POST', `${uk}/aisp/account-access-consents`, {
      ...{ token: tokens.acorn, body: { Data: { Permissions: all }, Risk: {} }, headers },
    })
  ).body.Data
  const path = `${uk}/aisp/account-access-consents/${ConsentId}`
  for (const query of ['', '?_method=DELETE'])
    assert.equal((await get(path + query, { token: tokens.acorn, headers })).body.Data.Status, 'AWAU')
  assert.equal((await world.acorn.send('HEAD', accounts)).status, 405)
  for (const method of ['PROPFIND', 'PUT', 'PATCH'])
    assert.deepEqual(
      [(await world.acorn.send(method, accounts)).status, (await world.acorn.send(method, '/api/v1/accounts')).status],
      [405, 405],
    )
})

test('RW-H-06 a compressed body is 415, whatever it says it is', async () => {
  const raw = gzipSync(JSON.stringify(paymentConsentBody()))
  for (const encoding of ['gzip', 'GZIP', 'deflate', 'br', 'identity, gzip', 'x']) {
    const headers = { 'content-encoding': encoding, 'x-idempotency-key': randomUUID() }
    const answer = await world.acorn.send('POST', `${uk}/pisp/domestic-payment-consents`, { token: tokens.acorn, raw, headers })
    assert.equal(answer.status, 415, encoding)
  }
})

test('RW-ST-02 a body in chunks, without a length, is read like any other', async () => {
  const headers = { 'content-length': undefined, 'transfer-encoding': 'chunked', 'x-idempotency-key': randomUUID() }
  const answer = await world.acorn.send('POST', `${uk}/pisp/domestic-payment-consents`, {
    ...{ token: tokens.acorn, raw: JSON.stringify(paymentConsentBody()), headers },
  })
  assert.equal(answer.status, 201, answer.text)
})

const initiation = 'Data.Initiation'
const creditor = `${initiation}.CreditorAccount`
const wrong: [label: string, path: string, value: unknown, error: string][] = [
  ['RW-D-07 a number for text', `${initiation}.InstructedAmount.Amount`, 165.88, `U002 ${initiation}.InstructedAmount.Amount`],
  ['RW-D-07 a list for text', `${initiation}.InstructedAmount.Amount`, ['1.00'], `U002 ${initiation}.InstructedAmount.Amount`],
  ['RW-D-07 fourteen digits', `${initiation}.InstructedAmount.Amount`, '00000000000001', `U002 ${initiation}.InstructedAmount.Amount`],
  ['RW-D-07 six places', `${initiation}.InstructedAmount.Amount`, '1.000000', `U002 ${initiation}.InstructedAmount.Amount`],
  ['RW-D-07 nothing, at length', `${initiation}.InstructedAmount.Amount`, '0000000000000.00', `U002 ${initiation}.InstructedAmount.Amount`],
  ['RW-D-07 digits of other scripts', `${initiation}.InstructedAmount.Amount`, '１.００', `U002 ${initiation}.InstructedAmount.Amount`],
  ['PIS-04 digits of other scripts', `${creditor}.Identification`, '０８０８００２１３２５６９８', `U002 ${creditor}.Identification`],
  ['PIS-04 a number for text', `${creditor}.Identification`, 20000012345678, `U002 ${creditor}.Identification`],
  ['RW-D-01 an accent of its own', `${creditor}.Name`, 'Chloe\u0301', `U002 ${creditor}.Name`],
  ['RW-D-01 full width', `${creditor}.Name`, 'ＡＣＭＥ', `U002 ${creditor}.Name`],
  ['RW-D-01 Cyrillic that looks Latin', `${creditor}.Name`, '\u0410CME', `U002 ${creditor}.Name`],
  ['RW-D-01 a soft hyphen', `${creditor}.Name`, 'AC\u00adME', `U002 ${creditor}.Name`],
  [
    'RW-D-01 right to left',
    `${initiation}.RemittanceInformation.Unstructured`,
    ['\u202eRent'],
    `U002 ${initiation}.RemittanceInformation.Unstructured[0]`,
  ],
  [
    'RW-D-02 a leap second',
    'Data.Authorisation',
    { AuthorisationType: 'Any', CompletionDateTime: '2016-12-31T23:59:60Z' },
    'U003 Data.Authorisation.CompletionDateTime',
  ],
]
for (const [label, path, value, error] of wrong)
  test(`${label}: ${path} is 400 ${error.slice(0, 4)}`, async () => {
    const headers = { 'x-idempotency-key': randomUUID() }
    const body = changed(paymentConsentBody(), path, value)
    const answer = await world.acorn.send('POST', `${uk}/pisp/domestic-payment-consents`, { token: tokens.acorn, body, headers })
    assert.deepEqual(errors(answer), [400, error])
  })

test('PIS-04 an IBAN is one account in any spelling of its letters, and none with letters that only become Latin', async () => {
  const lodge = (identification: string) => {
    const body = changed(
      changed(paymentConsentBody(), `${creditor}.SchemeName`, 'UK.OBIE.IBAN'),
      `${creditor}.Identification`,
      identification,
    )
    return world.acorn.send('POST', `${uk}/pisp/domestic-payment-consents`, {
      ...{ token: tokens.acorn, body, headers: { 'x-idempotency-key': randomUUID() } },
    })
  }
  for (const iban of ['GB82WEST12345698765432', 'gb82 west 1234 5698 7654 32']) assert.equal((await lodge(iban)).status, 201, iban)
  // In capitals these are the letters of the IBAN above.
  for (const iban of ['GB82WE\ufb0612345698765432', 'GB82WE\u017ft12345698765432', 'GB82WEST\u00a012345698765432'])
    assert.deepEqual(errors(await lodge(iban)), [400, `U002 ${creditor}.Identification`], iban)
})

test('RW-D-07 zeros that change nothing change nothing, and are no other amount to the consent', async () => {
  const headers = { 'x-idempotency-key': randomUUID() }
  const body = paymentConsentBody({ amount: '0000000000001.00000' })
  const answer = await world.acorn.send('POST', `${uk}/pisp/domestic-payment-consents`, { token: tokens.acorn, body, headers })
  assert.deepEqual([answer.status, answer.body.Data.Initiation.InstructedAmount.Amount], [201, '0000000000001.00000'])
  const { Initiation } = paymentConsentBody({ amount: '1.00000' }).Data
  const payment = { Data: { ConsentId: paymentConsent, Initiation }, Risk: paymentConsentBody().Risk }
  const paid = await world.acorn.send('POST', `${uk}/pisp/domestic-payments`, { token: tokens.paying, body: payment, headers })
  assert.deepEqual(errors(paid), [400, 'U008 Data.Initiation'])
})

const page = (cursor: string) => `${accounts}/${mine}/transactions?page=${encodeURIComponent(cursor)}`
async function nextOf(client: TestClient, token: string): Promise<string> {
  const answer = await client.send('GET', `${accounts}/${mine}/transactions`, { token })
  return new URL(answer.body.Links.Next).searchParams.get('page') ?? ''
}

test('RW-D-09 RW-D-10 a page that was tampered with is 400; another client’s, of the same account, too', async () => {
  const next = await nextOf(world.acorn, tokens.sharing)
  assert.equal((await get(page(next))).status, 200)
  for (const at of [0, 1, 8, 20, next.length - 1]) {
    const tampered = `${next.slice(0, at)}${next[at] === 'A' ? 'B' : 'A'}${next.slice(at + 1)}`
    assert.deepEqual(errors(await get(page(tampered))), [400, 'U002 page'], String(at))
  }
  for (const other of ['', next.slice(1), `${next}A`, `${next}=`, ` ${next}`, next.repeat(2), '../x', '%00', 'x'.repeat(5_000)])
    assert.deepEqual(errors(await get(page(other))), [400, 'U002 page'], other.slice(0, 40))
  const theirs = await nextOf(world.cobalt, await share(world.cobalt))
  assert.deepEqual(errors(await get(page(theirs))), [400, 'U002 page'])
})

test('RW-D-09 a page that was forged with the right checksum leads to no fault of ours', async () => {
  const forged = (time: bigint, number: bigint) => {
    const position = Buffer.alloc(17, 1)
    position.writeBigInt64BE(time, 1)
    position.writeBigInt64BE(number, 9)
    const checksum = createHash('sha256').update(`transactions of ${mine} for acorn-money`).update(position).digest().subarray(0, 6)
    return Buffer.concat([position, checksum]).toString('base64url')
  }
  assert.equal((await get(page(forged(0n, -(2n ** 63n))))).status, 200)
  for (const time of [-1n, -(2n ** 63n), 2n ** 63n - 1n, 8_640_000_000_000_001n])
    assert.deepEqual(errors(await get(page(forged(time, 1n)))), [400, 'U002 page'])
})

test('RW-D-08 a link to oneself is a URL, whatever was asked', async () => {
  const { body } = await get(`${accounts}?a="<>\\^\`{|}&b=%zz&c=%C3%A9`)
  assert.equal(body.Links.Self, `https://rs.bankside.test${accounts}?a=%22%3C%3E%5C%5E%60%7B%7C%7D&b=%25zz&c=%C3%A9`)
})

test('NAT 4.5 RFC 8707 a token of one API, or of both, is no good at the other', async () => {
  const grant = { scope: everyScope, grantId: randomUUID(), acr: strong }
  const both = await world.tokenFor(world.app, { ...grant, claims: { aud: [audiences.uk, audiences.bank] } })
  for (const [client, token, path] of [
    [world.acorn, tokens.sharing, bankAccounts],
    [world.app, tokens.app, accounts],
    [world.app, both, bankAccounts],
    [world.app, both, accounts],
  ] as const)
    assert.equal((await client.send('GET', path, { token })).status, 401)
})

test('D5 NAT-S1 the token of a client itself opens nothing of a customer', async () => {
  for (const path of ['', `/${mine}`, `/${mine}/balances`, `/${mine}/transactions`]) {
    const answer = await get(accounts + path, { token: tokens.acorn })
    assert.deepEqual([answer.status, answer.text], [401, ''])
  }
  const confirmation = await get(`${uk}/pisp/domestic-payment-consents/${paymentConsent}/funds-confirmation`, { token: tokens.acorn })
  assert.equal(confirmation.status, 401)
  const own = await world.tokenFor(world.app, { scope: everyScope, audience: audiences.bank })
  for (const path of ['/users/me', '/accounts', `/accounts/${mine}`, `/transactions/ent_${'0'.repeat(32)}`, '/beneficiaries'])
    assert.equal((await world.app.send('GET', `/api/v1${path}`, { token: own })).status, 403, path)
})

test('D5 PIS-14 a consent of another kind opens nothing, with every scope there is', async () => {
  for (const path of ['', `/${mine}`, `/${mine}/balances`, `/${mine}/transactions`])
    assert.deepEqual([(await get(accounts + path, { token: tokens.paying })).status], [401], path)
  const { Initiation } = paymentConsentBody({ amount: '1.00' }).Data
  const body = { Data: { ConsentId: paymentConsent, Initiation }, Risk: paymentConsentBody().Risk }
  const headers = { 'x-idempotency-key': randomUUID() }
  assert.equal((await world.acorn.send('POST', `${uk}/pisp/domestic-payments`, { token: tokens.sharing, body, headers })).status, 401)
  assert.equal((await get(`${uk}/pisp/domestic-payment-consents/${paymentConsent}/funds-confirmation`)).status, 401)
  // Neither consent is found where the other kind is kept, and a customer's token lodges none.
  assert.equal((await get(`${uk}/aisp/account-access-consents/${paymentConsent}`, { token: tokens.acorn })).status, 400)
  const lodged = await world.acorn.send('POST', `${uk}/aisp/account-access-consents`, {
    ...{ token: tokens.sharing, body: { Data: { Permissions: all }, Risk: {} } },
  })
  assert.equal(lodged.status, 403)
})

test('none of this was a fault of ours', () => {
  assert.deepEqual(
    world.answers.filter(({ answer }) => answer.status >= 500).map(({ method, path }) => `${method} ${path}`),
    [],
  )
})
