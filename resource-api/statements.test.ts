import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { newEntryId } from '@bankside/bank/ids'
import { sql, transact } from '@bankside/service-kit/postgres'
import { assertAllOfficial, definitionsMissing } from './testing/official-definitions.ts'
import { assertOwn } from './testing/own-definition.ts'
import type { Answer } from './testing/test-client.ts'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

const aisp = '/open-banking/v4.0/aisp'
const transactions = ['ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits']
const day = 86_400_000
const monthsAgo = (count: number) => {
  // A statement is there an hour after its month has ended.
  const now = new Date(Date.now() - 3_600_000)
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - count))
}
/** The second last whole month, which has 150 bookings of 1.00, and an opening of 1000.00 before them. */
const start = monthsAgo(2)
const end = monthsAgo(1)
const bookings = 150
let world: TestWorld
let account: string
let savings: string

before(async () => {
  world = await startTestWorld()
  account = world.ada.accounts[0]?.id as string
  savings = world.ada.accounts[1]?.id as string
  await transact(world.owner, async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    await tx.query(sql.unsafe`update ledger.account set opened_at = ${sql.timestamp(new Date(start.getTime() + day))}
      where account_id in (${account}, ${savings})`)
    await tx.query(
      sql.unsafe`update ledger.posting set booked_at = ${sql.timestamp(new Date(start.getTime() + day))} where account_id = ${account}`,
    )
    const entryId = newEntryId(start)
    await tx.query(sql.unsafe`
      insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date)
      values (${entryId}, 'transfer', 'GBP', 'Monthly', 'RENT', ${sql.timestamp(start)}, ${start.toISOString().slice(0, 10)})`)
    await tx.query(sql.unsafe`
      insert into ledger.posting (account_id, posting_number, entry_id, currency, amount_minor, balance_minor, counterparty_name, booked_at)
      select ${account}, 1 + n, ${entryId}, 'GBP', -100, 100000 - 100 * n, 'Landlord', ${sql.timestamp(new Date(start.getTime() + 2 * day))} + n * interval '1 minute'
      from generate_series(1, ${bookings}::int) n`)
  })
})
after(() => world.close())

type Wanted = { permissions?: readonly string[]; from?: string; to?: string }
async function consented({ permissions = ['ReadAccountsBasic', 'ReadStatementsDetail', ...transactions], from, to }: Wanted = {}) {
  const body = { Data: { Permissions: permissions, TransactionFromDateTime: from, TransactionToDateTime: to }, Risk: {} }
  const lodged = await world.acorn.send('POST', `${aisp}/account-access-consents`, {
    token: await world.clientToken(world.acorn, 'accounts'),
    body,
  })
  assert.equal(lodged.status, 201, lodged.text)
  const token = await world.authorise(world.acorn, lodged.body.Data.ConsentId, world.ada, [account, savings] as `acc_${string}`[])
  return (path: string) => world.acorn.send('GET', path.startsWith('/') ? path : `${aisp}/accounts/${account}/${path}`, { token })
}
const codes = ({ status, body }: Answer) => [status, ...(body?.Errors ?? []).map((error: { ErrorCode: string }) => error.ErrorCode)]
const local = (url: string | undefined) => url?.replace('https://rs.bankside.test', '')
const statementOf = async (get: Awaited<ReturnType<typeof consented>>, of = account) =>
  (await get(`${aisp}/accounts/${of}/statements`)).body.Data.Statement.at(-1)

test('AIS-06 statements need ReadStatements…, their transactions those of transactions too: 403', async () => {
  const { StatementId } = await statementOf(await consented())
  const without = await consented({ permissions: ['ReadAccountsBasic', 'ReadBalances', ...transactions] })
  for (const path of ['statements', `statements/${StatementId}`, `statements/${StatementId}/transactions`]) {
    const answer = await without(path)
    assert.deepEqual(codes(answer), [403, 'U002'], path)
    assert.match(String(answer.headers['www-authenticate']), /error="insufficient_scope"/)
  }
  const basic = await consented({ permissions: ['ReadAccountsBasic', 'ReadStatementsBasic'] })
  assert.deepEqual(codes(await basic(`statements/${StatementId}/transactions`)), [403, 'U002'])
  assert.deepEqual(codes(await basic(`statements/${StatementId}`)), [200])
})
test('D4 RW-D-10 a statement of another account or customer, an unknown one and a forged page are refused', async () => {
  const get = await consented()
  const { StatementId } = await statementOf(get)
  const { StatementId: ofSavings } = await statementOf(get, savings)
  for (const id of [ofSavings, `stm_${'0'.repeat(32)}`, 'x', "'", '%00'])
    for (const suffix of ['', '/transactions']) {
      const answer = await get(`statements/${id}${suffix}`)
      assert.deepEqual([...codes(answer), answer.body.Errors[0].Path], [403, 'U011', 'StatementId'], id)
    }
  const foreign = world.ben.accounts[0]?.id
  for (const path of ['statements', `statements/${StatementId}`, `statements/${StatementId}/transactions`])
    assert.deepEqual(codes(await get(`${aisp}/accounts/${foreign}/${path}`)), [403, 'U011'])
  for (const page of [ofSavings, 'x', '']) assert.deepEqual(codes(await get(`statements?page=${page}`)), [400, 'U002'], page)
  assert.deepEqual(codes(await get(`statements/${StatementId}/transactions?page=x`)), [400, 'U002'])
})
test('AIS-10 RW-D-02 filters on statements: both ends belong to them, nonsense is 400 with its path', async () => {
  const get = await consented()
  const count = async (query: string) => (await get(`statements?${query}`)).body.Data.Statement.length
  const text = (date: Date) => date.toISOString().slice(0, -1)
  assert.equal(await count(''), 2)
  assert.equal(await count(`fromStatementDateTime=${text(start)}&toStatementDateTime=${text(new Date(end.getTime() - 1))}`), 1)
  assert.equal(await count(`fromStatementDateTime=${text(new Date(start.getTime() + 1))}`), 1)
  assert.equal(await count(`toStatementDateTime=${text(new Date(end.getTime() - 2))}`), 0)
  assert.deepEqual(codes(await get('statements?fromStatementDateTime=a&toStatementDateTime=b')), [400, 'U003', 'U003'])
  assert.deepEqual(codes(await get('statements?fromStatementDateTime=2024-01-02&toStatementDateTime=2024-01-01')), [400, 'U003'])
  assert.deepEqual(codes(await get('statements?page=1&page=2')), [400, 'U002'])
})
test('AIS-09 a statement that begins before the consent’s period is not listed, and by its id it is 403', async () => {
  const { StatementId } = await statementOf(await consented())
  const get = await consented({ from: new Date(start.getTime() + 1).toISOString() })
  assert.equal((await get('statements')).body.Data.Statement.length, 1)
  for (const suffix of ['', '/transactions']) assert.deepEqual(codes(await get(`statements/${StatementId}${suffix}`)), [403, 'U011'])
})

test('AIS-07 RW-D-08 a statement with its amounts, which add up; with Basic without them', async () => {
  const get = await consented()
  const { StatementId } = await statementOf(get)
  const [statement] = (await get(`statements/${StatementId}`)).body.Data.Statement
  assert.deepEqual(
    statement.StatementAmount.map(({ Type, CreditDebitIndicator, Amount }: Record<string, { Amount: string }>) => [
      Type,
      CreditDebitIndicator,
      Amount?.Amount,
    ]),
    [
      ['UK.OBIE.StartingBalance', 'Credit', '0.00'],
      ['UK.OBIE.TotalCredits', 'Credit', '1000.00'],
      ['UK.OBIE.TotalDebits', 'Debit', '150.00'],
      ['UK.OBIE.ClosingBalance', 'Credit', '850.00'],
    ],
  )
  assert.deepEqual([statement.StartDateTime, statement.EndDateTime], [start.toISOString(), new Date(end.getTime() - 1).toISOString()])
  const basic = await consented({ permissions: ['ReadAccountsBasic', 'ReadStatementsBasic'] })
  const { StatementAmount, ...rest } = statement
  assert.deepEqual((await basic(`statements/${StatementId}`)).body.Data.Statement, [rest])
})
test('RW-D-09 the transactions of a statement, page by page and back', async () => {
  const get = await consented()
  const { StatementId } = await statementOf(get)
  const first = await get(`statements/${StatementId}/transactions`)
  const second = await get(local(first.body.Links.Next) as string)
  assert.deepEqual([first.body.Data.Transaction.length, second.body.Data.Transaction.length], [100, 51])
  assert.deepEqual([first.body.Links.Prev, second.body.Links.Next], [undefined, undefined])
  const back = await get(local(second.body.Links.Prev) as string)
  assert.deepEqual(back.body.Data, first.body.Data)
})

test('NAT-S1 NAT-S2 the bank’s own API: another’s account, no such statement, no scope', async () => {
  const token = await world.appToken(world.ada)
  const get = (path: string, as = token) => world.app.send('GET', `/api/v1${path}`, { token: as })
  const { id } = (await get(`/accounts/${account}/statements`)).body.statements.at(-1)
  const paths = [
    ...['balance', `statement?from=${start.toISOString()}`, 'statements', `statements/${id}`],
    ...[`statements/${id}/transactions`, 'transactions?reference=x'],
  ]
  for (const path of paths) {
    for (const other of [world.ben.accounts[0]?.id, 'acc_1']) assert.equal((await get(`/accounts/${other}/${path}`)).status, 404, path)
    const poor = await get(`/accounts/${account}/${path}`, await world.appToken(world.ada, { scope: 'openid profile' }))
    assert.deepEqual([poor.status, poor.body.code], [403, 'insufficient_scope'])
  }
  assert.equal((await get(`/accounts/${savings}/statements/${id}`)).status, 404)
  const tomorrow = new Date(Date.now() + day).toISOString()
  for (const path of [
    ...[`balance?at=${tomorrow}`, 'balance?at=yesterday', 'balance?at=2026-01-01', 'statement', 'statement?from=x', 'statements?cursor=x'],
    ...['transactions?cursor=x', 'transactions?from=1', 'transactions?min_amount_cents=-1', 'transactions?max_amount_cents=1.5'],
    ...['transactions?reference=', 'transactions?min_amount_cents=2&max_amount_cents=1', 'transactions?from=a&before=b'],
  ])
    assert.deepEqual((await get(`/accounts/${account}/${path}`)).body.code, 'validation_error', path)
})
test('the bank’s own API: past balances, statements of a month and of any period, a search, and pages by cursor', async () => {
  const token = await world.appToken(world.ada)
  const get = async (path: string) => (await world.app.send('GET', `/api/v1/accounts/${account}/${path}`, { token })).body
  assert.equal((await get(`balance?at=${start.toISOString()}`)).current_cents, 0)
  assert.equal((await get(`balance?at=${end.toISOString()}`)).current_cents, 85_000)
  const { statements } = await get('statements')
  const { id, ...month } = statements.at(-1)
  const figures = { opening_cents: 0, credits_cents: 100_000, debits_cents: 15_000, closing_cents: 85_000, transaction_count: 151 }
  const figuresOf = (found: Record<string, unknown>) => Object.fromEntries(Object.keys(figures).map((name) => [name, found[name]]))
  assert.deepEqual(figuresOf(month), figures)
  assert.deepEqual(await get(`statements/${id}`), { id, ...month })
  assert.deepEqual(figuresOf(await get(`statement?from=${month.from}&before=${month.before}`)), figures)

  const seen: number[] = []
  for (let cursor = ''; ; ) {
    const { transactions: found, paging } = await get(`statements/${id}/transactions?limit=60${cursor}`)
    seen.push(...found.map(({ balance_after_cents }: { balance_after_cents: number }) => balance_after_cents))
    if (!paging.has_more) break
    cursor = `&cursor=${paging.next_cursor}`
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 151 }, (_, n) => 85_000 + 100 * n),
  )
  const search = await get('transactions?reference=rent&counterparty=landlord&min_amount_cents=100&max_amount_cents=100&limit=100')
  const rest = await get(`transactions?reference=rent&limit=100&cursor=${search.paging.next_cursor}`)
  assert.deepEqual([search.transactions.length, rest.transactions.length, rest.paging], [100, 50, { limit: 100, has_more: false }])
})

test('every answer of this file is one that the official definition, or our own document, allows', (t) => {
  for (const answered of world.answers) if (answered.path.startsWith('/api/')) assertOwn(answered)
  if (definitionsMissing !== undefined) return t.skip(definitionsMissing)
  assertAllOfficial(world.answers)
})
