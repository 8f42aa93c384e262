import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { newAccountId } from '@bankside/bank/ids'
import { sql } from '@bankside/service-kit/postgres'
import { assertAllOfficial, definitionsMissing } from '../testing/official-definitions.ts'
import type { Answer, TestClient } from '../testing/test-client.ts'
import { startTestWorld, type TestWorld } from '../testing/test-world.ts'

const aisp = '/open-banking/v4.0/aisp'
const detail = ['ReadAccountsDetail', 'ReadBalances', 'ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits']
let world: TestWorld

before(async () => {
  world = await startTestWorld()
})
after(() => world.close())

type Wanted = { client?: TestClient; permissions?: readonly string[]; from?: string; to?: string; accounts?: readonly string[] }

/** A token of Ada's for a consent that she gave. */
async function consented({ client = world.acorn, permissions = detail, from, to, accounts }: Wanted = {}) {
  const token = await world.clientToken(client, 'accounts')
  const body = { Data: { Permissions: permissions, TransactionFromDateTime: from, TransactionToDateTime: to }, Risk: {} }
  const lodged = await client.send('POST', `${aisp}/account-access-consents`, { token, body })
  assert.equal(lodged.status, 201, lodged.text)
  const consentId: string = lodged.body.Data.ConsentId
  const chosen = accounts ?? [world.ada.accounts[0]?.id, world.ada.accounts[1]?.id]
  return { client, consentId, token: await world.authorise(client, consentId, world.ada, chosen as `acc_${string}`[]) }
}

const ada = (index: number) => world.ada.accounts[index]?.id as string
const codes = ({ status, body }: Answer) => [status, ...(body?.Errors ?? []).map((error: { ErrorCode: string }) => error.ErrorCode)]

test('D4 an account that was not chosen, of another customer, unknown or malformed is 403, one answer for all', async () => {
  const { client, token } = await consented()
  const answers = []
  for (const id of [ada(2), world.ben.accounts[0]?.id, newAccountId(), 'acc_1', '%20', "'"]) {
    for (const suffix of ['', '/balances', '/transactions']) {
      const answer = await client.send('GET', `${aisp}/accounts/${id}${suffix}`, { token })
      answers.push([...codes(answer), answer.body?.Errors?.[0]?.Path])
    }
  }
  assert.deepEqual(new Set(answers.map(String)), new Set(['403,U011,AccountId']))
})

test('D5 a token of the client itself opens no account: 401 without a body', async () => {
  for (const path of ['/accounts', `/accounts/${ada(0)}`, `/accounts/${ada(0)}/balances`]) {
    const answer = await world.acorn.send('GET', aisp + path, { token: await world.clientToken(world.acorn, 'accounts') })
    assert.equal(answer.status, 401)
    assert.equal(answer.text, '')
    assert.match(String(answer.headers['www-authenticate']), /^DPoP error="invalid_token"/)
  }
})

for (const [path, without] of [
  ['/accounts/:id/balances', 'ReadBalances'],
  ['/accounts/:id/transactions', 'ReadTransactionsDetail'],
] as const)
  test(`AIS-06 ${path} without ${without} is 403`, async () => {
    const permissions = detail.filter((code) => code !== without && !(without.startsWith('ReadTrans') && code.startsWith('ReadTrans')))
    const { client, token } = await consented({ permissions })
    const answer = await client.send('GET', aisp + path.replace(':id', ada(0)), { token })
    assert.deepEqual(codes(answer), [403, 'U002'])
    assert.match(String(answer.headers['www-authenticate']), /error="insufficient_scope"/)
  })

test('FAPI2-RS-04 a token with another scope is 403 insufficient_scope', async () => {
  const { client, consentId } = await consented()
  const token = await world.authorise(client, consentId, world.ada, [ada(0) as `acc_${string}`], 'openid payments')
  const answer = await client.send('GET', `${aisp}/accounts`, { token })
  assert.equal(answer.status, 403)
  assert.match(String(answer.headers['www-authenticate']), /error="insufficient_scope", scope="accounts"/)
})

for (const binding of ['acorn', 'cobalt'] as const)
  test(`AIS-12 AIS-13 AIS-14 RW-D-08 the chosen accounts, their balances and transactions (${binding})`, async () => {
    const { client, token } = await consented({ client: world[binding] })
    const list = await client.send('GET', `${aisp}/accounts`, { token })
    assert.equal(list.status, 200, list.text)
    assert.deepEqual(new Set(list.body.Data.Account.map((account: { AccountId: string }) => account.AccountId)), new Set([ada(0), ada(1)]))
    assert.equal(list.body.Links.Self, `https://rs.bankside.test${aisp}/accounts`)

    const { sortCode, accountNumber, iban } = world.ada.accounts[0] ?? {}
    const account = (await client.send('GET', `${aisp}/accounts/${ada(0)}`, { token })).body.Data.Account[0]
    assert.deepEqual(account.Account, [
      { SchemeName: 'UK.OBIE.SortCodeAccountNumber', Identification: `${sortCode}${accountNumber}`, Name: 'Ada Byron' },
      { SchemeName: 'UK.OBIE.IBAN', Identification: iban, Name: 'Ada Byron' },
    ])
    assert.equal(account.AccountTypeCode, 'CACC')

    const { Balance } = (await client.send('GET', `${aisp}/accounts/${ada(0)}/balances`, { token })).body.Data
    assert.deepEqual(
      Balance.map(({ Type, CreditDebitIndicator, Amount }: Record<string, unknown>) => [Type, CreditDebitIndicator, Amount]),
      [
        ['ITAV', 'Credit', { Amount: '1000.00', Currency: 'GBP' }],
        ['ITBD', 'Credit', { Amount: '1000.00', Currency: 'GBP' }],
      ],
    )
    const { Transaction } = (await client.send('GET', `${aisp}/accounts/${ada(0)}/transactions`, { token })).body.Data
    assert.equal(Transaction.length, 1)
    assert.equal(Transaction[0].Amount.Amount, '1000.00')
  })

test('AIS-07 AIS-04 Basic shows what Detail shows, less the members of the table', async () => {
  const basic = await consented({
    permissions: ['ReadAccountsBasic', 'ReadTransactionsBasic', 'ReadTransactionsCredits', 'ReadTransactionsDebits'],
  })
  const full = await consented()
  const read = async ({ client, token }: typeof basic, path: string) => (await client.send('GET', aisp + path, { token })).body.Data
  const hidden = (rich: object, poor: object) => Object.keys(rich).filter((name) => !(name in poor))
  const accounts = await Promise.all([full, basic].map(async (consent) => (await read(consent, `/accounts/${ada(0)}`)).Account[0]))
  assert.deepEqual(hidden(accounts[0], accounts[1]), ['Account'])
  const transactions = await Promise.all(
    [full, basic].map(async (consent) => (await read(consent, `/accounts/${ada(0)}/transactions`)).Transaction[0]),
  )
  assert.deepEqual(hidden(transactions[0], transactions[1]), ['TransactionInformation', 'Balance', 'DebtorAccount'])
  assert.deepEqual(hidden(transactions[1], transactions[0]), [])
})

const minute = 60_000

test('RW-D-09 RW-D-10 AIS-16 walking Next sees every transaction once, newest first; walking Prev comes back the same way', async () => {
  const start = new Date('2031-06-01T00:00:00.000Z')
  await world.book(
    ada(2) as `acc_${string}`,
    Array.from({ length: 230 }, (_, n) => (n % 3 === 0 ? -1n : 2n)),
    start,
  )
  const { client, token } = await consented({ accounts: [ada(2)] })
  const filter = 'fromBookingDateTime=2031-06-01T00:00:00&toBookingDateTime=2031-06-01T03:39:00'
  const pages: { Self: string; ids: string[] }[] = []
  for (let path: string | undefined = `${aisp}/accounts/${ada(2)}/transactions?${filter}`; path !== undefined; ) {
    const { body, status, text } = await client.send('GET', path, { token })
    assert.equal(status, 200, text)
    pages.push({
      Self: body.Links.Self,
      ids: body.Data.Transaction.map((row: { TransactionInformation: string }) => row.TransactionInformation),
    })
    path = body.Links.Next?.replace('https://rs.bankside.test', '')
  }
  // Both ends of a filter belong to it (AIS-10): bookings 0 to 219.
  assert.deepEqual(
    pages.flatMap(({ ids }) => ids),
    Array.from({ length: 220 }, (_, n) => `Booking ${219 - n}`),
  )
  assert.deepEqual(
    pages.map(({ ids }) => ids.length),
    [100, 100, 20],
  )

  const last = await client.send('GET', (pages[2]?.Self ?? '').replace('https://rs.bankside.test', ''), { token })
  const previous = await client.send('GET', last.body.Links.Prev.replace('https://rs.bankside.test', ''), { token })
  assert.deepEqual(
    previous.body.Data.Transaction.map((row: { TransactionInformation: string }) => row.TransactionInformation),
    pages[1]?.ids,
  )
})

test('AIS-09 AIS-10 RW-ST-03 nothing outside the period of the consent, whatever is asked; an empty period is an empty list', async () => {
  const { client, token } = await consented({ accounts: [ada(2)], from: '2031-06-01T00:10:00+00:00', to: '2031-06-01T01:20:00+01:00' })
  const count = async (query = '') => {
    const { status, body } = await client.send('GET', `${aisp}/accounts/${ada(2)}/transactions${query}`, { token })
    return [status, body.Data.Transaction.length]
  }
  assert.deepEqual(await count(), [200, 11])
  assert.deepEqual(await count('?fromBookingDateTime=2000-01-01T00:00:00'), [200, 11])
  assert.deepEqual(await count('?fromBookingDateTime=2031-06-01T00:18:00&toBookingDateTime=2099-01-01'), [200, 3])
  // A time zone on a filter is ignored (RW-D-03).
  assert.deepEqual(await count('?fromBookingDateTime=2031-06-01T00:18:00%2B05:00'), [200, 3])
  assert.deepEqual(await count('?toBookingDateTime=2001-01-01'), [200, 0])
})

test('AIS-08 a consent to credits shows no debits, and the other way round', async () => {
  for (const [code, shown, hidden] of [
    ['ReadTransactionsCredits', 'Credit', 'Debit'],
    ['ReadTransactionsDebits', 'Debit', 'Credit'],
  ] as const) {
    const { client, token } = await consented({ accounts: [ada(2)], permissions: ['ReadAccountsBasic', 'ReadTransactionsDetail', code] })
    const { body } = await client.send('GET', `${aisp}/accounts/${ada(2)}/transactions`, { token })
    const directions = new Set(body.Data.Transaction.map((row: { CreditDebitIndicator: string }) => row.CreditDebitIndicator))
    assert.deepEqual([directions.has(shown), directions.has(hidden)], [true, false])
    assert.ok(body.Data.Transaction.every((row: { Amount: { Amount: string } }) => /^\d+\.\d\d$/.test(row.Amount.Amount)))
  }
})

test('RW-D-02 RW-D-09 AIS-10 dates that are none, a period that ends before it begins, and a forged page are 400 with their path', async () => {
  const { client, token } = await consented({ accounts: [ada(2), ada(0)] })
  const page =
    new URL((await client.send('GET', `${aisp}/accounts/${ada(2)}/transactions`, { token })).body.Links.Next).searchParams.get('page') ?? ''
  const forged = page.startsWith('A') ? `B${page.slice(1)}` : `A${page.slice(1)}`
  const cases: [query: string, code: string, path: string][] = [
    ['fromBookingDateTime=2024-13-01T00:00:00', 'U003', 'fromBookingDateTime'],
    ['fromBookingDateTime=2024-02-30', 'U003', 'fromBookingDateTime'],
    ['toBookingDateTime=yesterday', 'U003', 'toBookingDateTime'],
    ['toBookingDateTime=', 'U003', 'toBookingDateTime'],
    ['fromBookingDateTime=2024-01-02&fromBookingDateTime=2024-01-01', 'U002', 'fromBookingDateTime'],
    ['fromBookingDateTime=2024-01-02&toBookingDateTime=2024-01-01', 'U003', 'fromBookingDateTime'],
    [`page=${forged}`, 'U002', 'page'],
    ['page=2', 'U002', 'page'],
  ]
  for (const [query, code, path] of cases) {
    const answer = await client.send('GET', `${aisp}/accounts/${ada(2)}/transactions?${query}`, { token })
    assert.deepEqual([...codes(answer), answer.body.Errors[0].Path], [400, code, path], query)
  }
  const misplaced = await client.send('GET', `${aisp}/accounts/${ada(0)}/transactions?page=${page}`, { token })
  assert.deepEqual(codes(misplaced), [400, 'U002'])
  const both = await client.send('GET', `${aisp}/accounts/${ada(2)}/transactions?fromBookingDateTime=a&toBookingDateTime=b`, { token })
  assert.deepEqual(codes(both), [400, 'U003', 'U003'])
})

test('AIS-14 an overdrawn account is a debit with a positive amount, and the credit line is told', async () => {
  const { client, token } = await consented()
  await world.owner.query(sql.unsafe`update ledger.account set overdraft_minor = 30000 where account_id = ${ada(1)}`)
  await world.book(ada(1) as `acc_${string}`, [-510_050n], new Date('2031-07-01T00:00:00.000Z'), minute)
  const { Balance } = (await client.send('GET', `${aisp}/accounts/${ada(1)}/balances`, { token })).body.Data
  assert.deepEqual(
    Balance.map(({ Type, CreditDebitIndicator, Amount }: Record<string, unknown>) => [Type, CreditDebitIndicator, Amount]),
    [
      ['ITAV', 'Credit', { Amount: '199.50', Currency: 'GBP' }],
      ['ITBD', 'Debit', { Amount: '100.50', Currency: 'GBP' }],
    ],
  )
  assert.deepEqual(Balance[0].CreditLine, [{ Included: true, Type: 'Pre-Agreed', Amount: { Amount: '300.00', Currency: 'GBP' } }])
})

test('AIS-12 CON-12 an account that is frozen is shown so, one that is closed is gone from the next call on', async () => {
  const { client, token } = await consented()
  await world.owner.query(sql.unsafe`update ledger.account set status = 'frozen' where account_id = ${ada(0)}`)
  assert.equal((await client.send('GET', `${aisp}/accounts/${ada(0)}`, { token })).body.Data.Account[0].Status, 'Disabled')
  await world.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${ada(0)}`)
  assert.deepEqual(codes(await client.send('GET', `${aisp}/accounts/${ada(0)}`, { token })), [403, 'U011'])
  await world.owner.query(sql.unsafe`update ledger.account set status = 'open' where account_id = ${ada(0)}`)
})

test('RW-D-05 no answer holds null or an empty text', () => {
  for (const { answer } of world.answers) assert.doesNotMatch(answer.text, /:null|:""|\[null/)
})

test('every answer of this file is one that the official definition allows', (t) => {
  if (definitionsMissing !== undefined) return t.skip(definitionsMissing)
  assertAllOfficial(world.answers)
})
