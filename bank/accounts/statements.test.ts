import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql, transact } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { authorisedWorldOf, dayMs, gbp, minuteMs, openWorld, type World } from '../consents/testing/test-world.ts'
import type { AccountId, EntryId } from '../ids.ts'
import type { Operation } from '../ledger/movement.ts'
import { movementKey } from '../ledger/movement-key.ts'
import { type MovementWriter, openMovementWriter } from '../ledger/movement-writer.ts'
import { transfer } from '../ledger/transfer.ts'
import { drawStatement } from './draw-statement.ts'
import { getPastBalance } from './get-past-balance.ts'
import { listStatementTransactions } from './list-statement-transactions.ts'
import { getStatement, listStatements } from './list-statements.ts'
import { listTransactions } from './list-transactions.ts'
import { postingsSearchedAtMost, searchTransactions, type TransactionSearch } from './search-transactions.ts'
import { statementId } from './statement.ts'

let world: World
let ledger: MovementWriter
const clock = { at: new Date(0), now: () => clock.at }
before(async () => {
  world = await openWorld()
  ledger = openMovementWriter(world.urls.ledgerUrl, { clock, lanes: 1 })
})
after(async () => {
  await ledger.close()
  await world.close()
})

/** Accounts are opened at noon on 2 March, with 1000.00. */
const at = (text: string) => new Date(`2026-${text}Z`)
const may = at('05-20T00:00:00')
const everything = [
  ...(['ReadAccountsDetail', 'ReadBalances', 'ReadTransactionsDetail', 'ReadTransactionsCredits'] as const),
  ...(['ReadTransactionsDebits', 'ReadStatementsDetail'] as const),
]

async function opened(asked: Parameters<typeof authorisedWorldOf>[2] = {}, accounts = 1) {
  const { token, accountIds, customerId } = await authorisedWorldOf(world, accounts, { permissions: everything, ...asked })
  const access = await world.access(token, { api: 'uk', operation: 'accounts.list', now: may })
  return { access, accountIds, accountId: accountIds[0] as AccountId, customerId }
}

const words = { description: 'Moved', reference: 'REF' }
const settlement = () => world.own.settlement.GBP as AccountId
async function write(when: Date, operation: Operation): Promise<EntryId> {
  clock.at = when
  const key = movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'test', key: randomUUID(), request: null })
  const outcome = await ledger.write({ key, actor: 'test', operations: [operation] })
  assert.ok('made' in outcome, JSON.stringify(outcome))
  return outcome.made[0] as EntryId
}
const pay = (accountId: AccountId, minor: number, when: Date, more = {}) =>
  write(when, { kind: 'transfer', from: accountId, to: settlement(), amount: gbp(minor), ...words, ...more })
const reading = <Result>(work: (tx: Parameters<typeof listTransactions>[0]) => Promise<Result>) => world.asResourceApi(work)
const balanceAt = (access: AccessDecision, accountId: string, when: Date, now = may) =>
  world.asResourceApi((tx) => getPastBalance(tx, access, { accountId, at: when, now })).then(({ posted }) => Number(posted.minor))
const statements = (access: AccessDecision, query: { accountId: string } & Partial<Parameters<typeof listStatements>[2]>) =>
  reading((tx) => listStatements(tx, access, { limit: 24, now: may, ...query }))
const months = (page: Awaited<ReturnType<typeof statements>>) => page.statements.map(({ month }) => month)

test('AIS-06 AIS-12 D4 statements and past balances of another’s account, of one that was not chosen, and without permission are refused', async () => {
  const { access, accountId, customerId } = await opened()
  const poor = await opened({ permissions: ['ReadAccountsBasic'] })
  const id = statementId(accountId, '2026-03')
  for (const [decision, account, code] of [
    [access, await world.newAccount(), 'account_not_permitted'],
    [access, await world.newAccount({ customerId }), 'account_not_permitted'],
    [access, 'acc_1', 'account_not_permitted'],
    [poor.access, poor.accountId, 'permission_missing'],
  ] as const) {
    const asked = { accountId: account, statementId: id, now: may }
    const period = { accountId: account, from: at('03-01T00:00:00'), before: may }
    await assert.rejects(balanceAt(decision, account, may), { code })
    await assert.rejects(statements(decision, { accountId: account }), { code })
    await assert.rejects(
      reading((tx) => getStatement(tx, decision, asked)),
      { code },
    )
    await assert.rejects(
      reading((tx) => listStatementTransactions(tx, decision, { ...asked, limit: 10 })),
      { code },
    )
    await assert.rejects(
      reading((tx) => drawStatement(tx, decision, period)),
      { code },
    )
    await assert.rejects(
      reading((tx) => searchTransactions(tx, decision, { accountId: account, limit: 10, reference: 'x' })),
      { code },
    )
  }
})
test('AIS-07 without ReadStatementsDetail a statement has no amounts, and no period is drawn up', async () => {
  const { access, accountId } = await opened({ permissions: ['ReadAccountsBasic', 'ReadStatementsBasic'] })
  const { statements: found } = await statements(access, { accountId })
  assert.deepEqual(
    [found.map(({ month }) => month), found.map(({ totals }) => totals)],
    [
      ['2026-04', '2026-03'],
      [undefined, undefined],
    ],
  )
  const period = { accountId, from: at('03-01T00:00:00'), before: may }
  await assert.rejects(
    reading((tx) => drawStatement(tx, access, period)),
    { code: 'permission_missing' },
  )
  // It takes the permissions for transactions too (3.8.1).
  const asked = { accountId, statementId: statementId(accountId, '2026-03'), now: may, limit: 10 }
  await assert.rejects(
    reading((tx) => listStatementTransactions(tx, access, asked)),
    { code: 'permission_missing' },
  )
})
test('AIS-09 only statements that lie wholly within the window of the consent, whatever is asked; a past balance does not leave it either', async () => {
  const window = { transactionFrom: at('03-01T00:00:00.001'), transactionTo: at('04-30T23:59:59.999') }
  const { access, accountId } = await opened(window)
  assert.deepEqual(months(await statements(access, { accountId })), ['2026-04'])
  const march = { accountId, statementId: statementId(accountId, '2026-03'), now: may }
  await assert.rejects(
    reading((tx) => getStatement(tx, access, march)),
    { code: 'statement_not_found' },
  )
  await assert.rejects(
    reading((tx) => listStatementTransactions(tx, access, { ...march, limit: 10 })),
    { code: 'statement_not_found' },
  )
  await assert.rejects(balanceAt(access, accountId, at('05-01T00:00:00')), { code: 'date_invalid' })
  const beyond = { accountId, from: at('04-01T00:00:00'), before: at('05-01T00:00:00.001') }
  await assert.rejects(
    reading((tx) => drawStatement(tx, access, beyond)),
    { code: 'date_invalid' },
  )
  assert.equal((await reading((tx) => drawStatement(tx, access, { ...beyond, before: at('05-01T00:00:00') }))).totals.transactions, 0)
})
test('RW-D-10 a statement or page of another account, a forged one, and one of a month that there is none of are refused', async () => {
  const { access, accountIds } = await opened({}, 2)
  const [accountId, other] = accountIds as [AccountId, AccountId]
  const own = statementId(accountId, '2026-03')
  const forged = own.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
  const get = (id: string) => reading((tx) => getStatement(tx, access, { accountId, statementId: id, now: may }))
  assert.equal((await get(own)).month, '2026-03')
  const missing = ['2026-02', '2026-05', '2027-01'].map((month) => statementId(accountId, month))
  for (const id of [statementId(other, '2026-03'), forged, own.toUpperCase(), `${own}0`, 'stm_202613', '', ...missing])
    await assert.rejects(get(id), { code: 'statement_not_found' }, id)
  for (const after of [statementId(other, '2026-03'), forged, '2026-03', ''])
    await assert.rejects(statements(access, { accountId, after }), { code: 'field_invalid' }, after)
})
test('AIS-10 a statement is there an hour after its month has ended, from the month in which the account was opened', async () => {
  const { access, accountId } = await opened()
  const seenAt = async (now: Date) => months(await statements(access, { accountId, now }))
  assert.deepEqual(await seenAt(at('03-31T23:59:59')), [])
  assert.deepEqual(await seenAt(at('04-01T00:59:59.999')), [])
  assert.deepEqual(await seenAt(at('04-01T01:00:00')), ['2026-03'])
  assert.deepEqual(await seenAt(at('06-01T01:00:00')), ['2026-05', '2026-04', '2026-03'])
  const page = await statements(access, { accountId, now: at('06-01T01:00:00'), limit: 2 })
  const rest = await statements(access, { accountId, now: at('06-01T01:00:00'), limit: 2, after: page.next })
  assert.deepEqual([months(page), months(rest), rest.next], [['2026-05', '2026-04'], ['2026-03'], undefined])
  const filtered = async (query: object) => months(await statements(access, { accountId, now: at('06-01T01:00:00'), ...query }))
  assert.deepEqual(await filtered({ from: at('04-01T00:00:00'), to: at('04-30T23:59:59.999') }), ['2026-04'])
  assert.deepEqual(await filtered({ from: at('04-01T00:00:00.001') }), ['2026-05'])
  assert.deepEqual(await filtered({ to: at('04-30T23:59:59.998') }), ['2026-03'])
  await assert.rejects(statements(access, { accountId, from: may, to: at('05-01T00:00:00') }), { code: 'date_invalid' })
})

test('a balance at any instant: before the first posting, at each, between them, and not after now', async () => {
  const { access, accountId } = await opened()
  await pay(accountId, 100, at('03-10T10:00:00'))
  await pay(accountId, 10, at('03-10T10:00:00'))
  await pay(accountId, 1, at('03-10T10:00:00.001'))
  for (const [when, balance] of [
    [at('03-02T11:59:59.999'), 0],
    [at('03-02T12:00:00'), 100_000],
    [at('03-10T09:59:59.999'), 100_000],
    [at('03-10T10:00:00'), 99_890],
    [at('03-10T10:00:00.001'), 99_889],
    [may, 99_889],
  ] as const)
    assert.equal(await balanceAt(access, accountId, when), balance, when.toISOString())
  await assert.rejects(balanceAt(access, accountId, new Date(may.getTime() + 1)), { code: 'date_invalid' })
  const plan = await transact(world.owner, async (tx) => {
    await tx.query(sql.unsafe`set local enable_seqscan = off`)
    return (
      await tx.anyFirst(sql.unsafe`explain select balance_minor from ledger.posting where account_id = ${accountId} and booked_at <= now()
        order by booked_at desc, posting_number desc limit 1`)
    ).join('\n')
  })
  assert.match(plan, /Index (Only )?Scan Backward using posting_is_numbered_by_account/)
})
test('a statement adds up over a reversal in a later month and a backdated value date; the first moment of a month is its own', async () => {
  const { access, accountId } = await opened()
  const paid = await pay(accountId, 5_000, at('03-31T23:59:59.999'))
  await pay(accountId, 300, at('04-01T00:00:00'))
  await write(at('04-10T09:00:00'), { kind: 'reversal', entryId: paid, amountMinor: 2_000n, ...words })
  const backdated = { kind: 'transfer', from: settlement(), to: accountId, amount: gbp(77), ...words, valueDate: '2026-03-15' } as const
  await write(at('04-11T09:00:00'), backdated)
  const { statements: found } = await statements(access, { accountId })
  const figures = found.map(({ month, totals }) => [
    month,
    ...[totals?.opening, totals?.credits, totals?.debits, totals?.closing].map((money) => Number(money?.minor)),
    totals?.transactions,
  ])
  assert.deepEqual(figures, [
    ['2026-04', 95_000, 2_077, 300, 96_777, 3],
    ['2026-03', 0, 100_000, 5_000, 95_000, 2],
  ])
  const of = async (month: string) =>
    (
      await reading((tx) =>
        listStatementTransactions(tx, access, { accountId, statementId: statementId(accountId, month), now: may, limit: 10 }),
      )
    ).transactions.map(({ amount, valueDate, kind }) => [Number(amount.minor), valueDate, kind])
  assert.deepEqual(await of('2026-04'), [
    [77, '2026-03-15', 'transfer'],
    [2_000, '2026-04-10', 'reversal'],
    [-300, '2026-04-01', 'transfer'],
  ])
  assert.deepEqual(
    (await of('2026-03')).map(([minor]) => minor),
    [-5_000, 100_000],
  )
  const drawn = (from: Date, before: Date) =>
    reading((tx) => drawStatement(tx, access, { accountId, from, before })).then(({ totals }) => Number(totals.debits.minor))
  assert.equal(await drawn(at('03-31T23:59:59.999'), at('04-01T00:00:00')), 5_000)
  assert.equal(await drawn(at('04-01T00:00:00'), at('04-01T00:00:00.001')), 300)
  assert.equal(await drawn(at('04-01T00:00:00'), at('04-01T00:00:00')), 0)
})
test('books that do not agree show no statement', async () => {
  const { access, accountId } = await opened()
  await pay(accountId, 100, at('03-10T10:00:00'))
  await transact(world.owner, async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    await tx.query(
      sql.unsafe`update ledger.posting set balance_minor = balance_minor + 1 where account_id = ${accountId} and amount_minor < 0`,
    )
  })
  await assert.rejects(statements(access, { accountId }), /does not come to its closing balance/)
})

test('RW-D-11 pages walked while others book skip nothing and repeat nothing, by cursor and by search', async () => {
  const { access, accountId } = await opened()
  const start = at('03-20T00:00:00')
  let booked = 0
  const book = async (count: number) => {
    for (let n = 0; n < count; n++)
      await transact(world.owner, (tx) =>
        transfer(tx, {
          ...{ from: settlement(), to: accountId, amount: gbp(++booked), kind: 'transfer', ...words },
          // Several share a moment.
          now: new Date(start.getTime() + Math.floor(booked / 4) * minuteMs),
        }),
      )
  }
  await book(40)
  for (const read of [listTransactions, searchTransactions]) {
    const newest = booked
    let meanwhile = Promise.resolve()
    const seen: number[] = []
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      meanwhile = meanwhile.then(() => book(2))
      const query = { accountId, from: start, limit: 7, after: cursor, reference: 'ref' }
      const page = await reading((tx) => read(tx, access, query))
      seen.push(...page.transactions.map(({ amount }) => Number(amount.minor)))
      cursor = page.next
    }
    await meanwhile
    const [top = 0] = seen
    assert.ok(top >= newest)
    assert.deepEqual(
      seen,
      Array.from({ length: top }, (_, n) => top - n),
    )
  }
})

test('a search finds by reference, counterparty and amount, and takes what it is given literally', async () => {
  const { access, accountId } = await opened()
  const shop = { name: 'Café 100%', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000012345678' }
  await pay(accountId, 250, at('03-10T10:00:00'), { reference: 'INV_77', description: 'Coffee', creditor: shop })
  await pay(accountId, 900, at('03-11T10:00:00'), { reference: 'INVX77', description: 'Tea', creditor: { ...shop, name: 'Market' } })
  await pay(accountId, 250, at('03-12T10:00:00'), { reference: 'GIFT', description: 'inv_77 again', creditor: { ...shop, name: 'Bo' } })
  const found = async (search: Partial<TransactionSearch>, decision = access) =>
    (await reading((tx) => searchTransactions(tx, decision, { accountId, limit: 10, ...search }))).transactions.map(
      ({ reference }) => reference,
    )
  assert.deepEqual(await found({ reference: 'inv_77' }), ['GIFT', 'INV_77'])
  assert.deepEqual(await found({ counterparty: 'café 100%' }), ['INV_77'])
  assert.deepEqual(await found({ counterparty: '%' }), ['INV_77'])
  assert.deepEqual(await found({ counterparty: '20000012345678', least: 251n }), ['INVX77'])
  assert.deepEqual(await found({ least: 250n, most: 250n }), ['GIFT', 'INV_77'])
  assert.deepEqual(await found({ least: 250n, most: 250n, before: at('03-12T10:00:00') }), ['INV_77'])
  assert.deepEqual(await found({ reference: "'; drop table ledger.posting; --" }), [])
  const refused = (search: Partial<TransactionSearch>) => assert.rejects(found(search), { code: 'field_invalid' })
  for (const text of ['', 'x'.repeat(141)]) for (const name of ['reference', 'counterparty']) await refused({ [name]: text })
  await refused({ least: 2n, most: 1n })
  const { previous, next } = await reading((tx) => listTransactions(tx, access, { accountId, limit: 1 }))
  const back = await reading((tx) => listTransactions(tx, access, { accountId, limit: 1, after: next }))
  assert.equal(previous, undefined)
  await refused({ after: back.previous as string, reference: 'x' })
})
test('AIS-07 AIS-08 a search finds nothing by what is not shown', async () => {
  const basic = ['ReadAccountsBasic', 'ReadTransactionsBasic', 'ReadTransactionsDebits'] as const
  const { access, accountId } = await opened({ permissions: basic })
  await pay(accountId, 250, at('03-10T10:00:00'), { reference: 'REF', description: 'Secret' })
  const search = (asked: Partial<TransactionSearch>) =>
    reading((tx) => searchTransactions(tx, access, { accountId, limit: 10, ...asked })).then(({ transactions }) => transactions.length)
  assert.equal(await search({ reference: 'Secret' }), 0)
  assert.equal(await search({ reference: 'REF' }), 1)
  assert.equal(await search({ reference: 'OPENING' }), 0)
  await assert.rejects(search({ counterparty: 'x' }), { code: 'permission_missing' })
})
test('a search looks through so many postings for one answer, and its cursor goes on from there', async () => {
  const { access, accountId } = await opened()
  const many = postingsSearchedAtMost + 5
  await transact(world.owner, async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    await tx.query(sql.unsafe`
      insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date)
      values (${`ent_${'0'.repeat(32)}`}, 'transfer', 'GBP', 'Filler', 'FILLER', ${sql.timestamp(may)}, '2026-05-20') on conflict do nothing`)
    await tx.query(sql.unsafe`
      insert into ledger.posting (account_id, posting_number, entry_id, currency, amount_minor, balance_minor, counterparty_name, booked_at)
      select ${accountId}, 1 + n, ${`ent_${'0'.repeat(32)}`}, 'GBP', 1, 100000 + n, 'Filler',
        ${sql.timestamp(at('03-03T00:00:00'))} + n * interval '1 second' from generate_series(1, ${many}::int) n`)
  })
  const search = (after?: string) => reading((tx) => searchTransactions(tx, access, { accountId, limit: 10, reference: 'OPENING', after }))
  const first = await search()
  assert.deepEqual([first.transactions.length, typeof first.next], [0, 'string'])
  const second = await search(first.next)
  assert.deepEqual([second.transactions.map(({ reference }) => reference), second.next], [['OPENING'], undefined])
})
test('AIS-09 a month of a consent’s window in another year is no statement of this account', async () => {
  const { access, accountId } = await opened({ transactionFrom: new Date(may.getTime() + 300 * dayMs) })
  assert.deepEqual(await statements(access, { accountId }), { statements: [], next: undefined })
})
