import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, transact } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { app, authorisedWorldOf, bareToken, gbp, later, minuteMs, noon, openWorld, type World } from '../consents/testing/test-world.ts'
import type { AccountId } from '../ids.ts'
import { transfer } from '../ledger/transfer.ts'
import { getAccount } from './get-account.ts'
import { getBalance } from './get-balance.ts'
import { listAccounts } from './list-accounts.ts'
import { listCustomerAccounts } from './list-customer-accounts.ts'
import { listTransactions, type TransactionQuery } from './list-transactions.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const reading = { api: 'uk', operation: 'accounts.list', now: noon } as const
const basic = ['ReadAccountsBasic', 'ReadTransactionsBasic', 'ReadTransactionsCredits', 'ReadTransactionsDebits'] as const

/** What a consent with these terms opens of a customer with so many accounts. */
async function opened(asked: Parameters<typeof authorisedWorldOf>[2] = {}, accounts = 1) {
  const { token, accountIds, customerId } = await authorisedWorldOf(world, accounts, asked)
  return { access: await world.access(token, reading), token, accountId: accountIds[0] as AccountId, accountIds, customerId }
}
const transactions = (access: AccessDecision, query: TransactionQuery) => world.asResourceApi((tx) => listTransactions(tx, access, query))
const move = (from: AccountId, to: AccountId, minor: number, at: Date) =>
  transact(world.owner, (tx) =>
    transfer(tx, { from, to, amount: gbp(minor), kind: 'transfer', description: `Moved ${minor}`, reference: `R${minor}`, now: at }),
  )

/** An opening of 1000.00 at noon, then a debit and a credit by turns, a minute apart. */
async function withHistory(accountId: AccountId, count: number): Promise<void> {
  const settlement = world.own.settlement.GBP as AccountId
  for (let n = 1; n <= count; n++) {
    const [from, to] = n % 2 === 1 ? [accountId, settlement] : [settlement, accountId]
    await move(from, to, n, later(n * minuteMs))
  }
}
const amounts = (page: { transactions: readonly { amount: { minor: bigint } }[] }) =>
  page.transactions.map(({ amount }) => Number(amount.minor))

test('AIS-12 D4 an account that was not chosen cannot be read, whoever’s it is', async () => {
  const { access, customerId } = await opened()
  const own = await world.newAccount({ customerId })
  for (const accountId of [own, await world.newAccount(), `acc_${'0'.repeat(32)}`, 'nonsense']) {
    const refused = { code: 'account_not_permitted' }
    await assert.rejects(
      world.asResourceApi((tx) => getAccount(tx, access, accountId)),
      refused,
    )
    await assert.rejects(
      world.asResourceApi((tx) => getBalance(tx, access, accountId)),
      refused,
    )
    await assert.rejects(transactions(access, { accountId, limit: 10 }), refused)
  }
})
test('AIS-06 balances and transactions need their permission even past the decision', async () => {
  const { access, accountId } = await opened({ permissions: ['ReadAccountsBasic'] })
  await assert.rejects(
    world.asResourceApi((tx) => getBalance(tx, access, accountId)),
    { code: 'permission_missing' },
  )
  await assert.rejects(transactions(access, { accountId, limit: 10 }), { code: 'permission_missing' })
})
test('CON-10 CON-12 a closed account leaves, and the rest of the consent stays', async () => {
  const { token, accountIds } = await opened({}, 2)
  const [first, second] = accountIds
  await world.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${first as string}`)
  const { accounts } = await world.access(token, reading)
  assert.deepEqual([...accounts], [second])
})

test('AIS-07 Basic shows no name, number or IBAN, and no balance without its permission', async () => {
  const { access } = await opened({ permissions: ['ReadAccountsBasic'] })
  const [account] = await world.asResourceApi((tx) => listAccounts(tx, access))
  assert.ok(account)
  const { holderName, sortCode, accountNumber, iban, posted, held, available, ...shown } = account
  assert.deepEqual([holderName, sortCode, accountNumber, iban, posted, held, available], Array(7).fill(undefined))
  assert.deepEqual(shown, { id: account.id, nickname: 'Current', typeCode: 'CACC', currency: 'GBP', status: 'open', openedAt: noon })
})
test('AIS-04 AIS-14 Detail shows them, and a hold counts against what is available', async () => {
  const { access, accountId } = await opened()
  await world.owner.query(
    sql.unsafe`select ledger.place_hold(${`hld_${'1'.repeat(32)}`}, ${accountId}, 2500, 'GBP', ${sql.timestamp(noon)}, ${sql.timestamp(later(minuteMs))})`,
  )
  const account = await world.asResourceApi((tx) => getAccount(tx, access, accountId))
  assert.deepEqual(
    [account.holderName, account.sortCode, account.posted, account.held, account.available],
    ['Ann Example', '040404', gbp(100_000), gbp(2500), gbp(97_500)],
  )
  const balance = await world.asResourceApi((tx) => getBalance(tx, access, accountId))
  assert.deepEqual(balance, { accountId, posted: gbp(100_000), held: gbp(2500), available: gbp(97_500), overdraft: gbp(0) })
})

test('AIS-10 NAT-S8 unfit periods, limits, pages and cursors are refused', async () => {
  const { access, accountId } = await opened()
  const refused = (query: Partial<TransactionQuery>, code: string) =>
    assert.rejects(transactions(access, { accountId, limit: 10, ...query }), { code })
  await refused({ from: later(1), to: noon }, 'date_invalid')
  for (const limit of [0, -1, 1.5, 1001, Number.NaN]) await refused({ limit }, 'field_invalid')
  for (const page of [0, -1, 1.5, Number.POSITIVE_INFINITY]) await refused({ page }, 'field_invalid')
  for (const after of ['', 'nonsense', 'AAAA', 'A'.repeat(400)]) await refused({ after }, 'field_invalid')
})
test('RW-D-09 RW-D-10 a cursor that was tampered with, or is of another account, is refused', async () => {
  const { access, accountIds } = await opened({}, 2)
  const [first, second] = accountIds as [AccountId, AccountId]
  await withHistory(first, 4)
  const { next } = await transactions(access, { accountId: first, limit: 2 })
  assert.ok(next)
  await assert.rejects(transactions(access, { accountId: second, limit: 2, after: next }), { code: 'field_invalid' })
  const other = next.startsWith('A') ? 'B' : 'A'
  await assert.rejects(transactions(access, { accountId: first, limit: 2, after: other + next.slice(1) }), { code: 'field_invalid' })
  await assert.rejects(transactions(access, { accountId: first, limit: 2, after: `${next}=` }), { code: 'field_invalid' })
})
test('AIS-09 a cursor does not widen what another decision opens', async () => {
  const { access, accountId, customerId, accountIds } = await opened()
  await withHistory(accountId, 6)
  const { next } = await transactions(access, { accountId, limit: 2 })
  const narrow = await world.lodge({ transactionFrom: later(2 * minuteMs), transactionTo: later(3 * minuteMs) })
  const grantId = await world.grant(customerId)
  await world.authorise(narrow, { customerId, accountIds, grantId })
  const narrowed = await world.access({ grantId, consentId: narrow.id }, reading)
  assert.deepEqual(amounts(await transactions(narrowed, { accountId, limit: 100, after: next })), [-3, 2])
})

test('AIS-08 credits only, debits only', async () => {
  const credits = await opened({ permissions: basic.filter((code) => code !== 'ReadTransactionsDebits') })
  await withHistory(credits.accountId, 4)
  assert.deepEqual(amounts(await transactions(credits.access, { accountId: credits.accountId, limit: 10 })), [4, 2, 100_000])
  const debits = await opened({ permissions: basic.filter((code) => code !== 'ReadTransactionsCredits') })
  await withHistory(debits.accountId, 4)
  assert.deepEqual(amounts(await transactions(debits.access, { accountId: debits.accountId, limit: 10, page: 1 })), [-3, -1])
})
test('AIS-09 AIS-10 nothing outside the window of the consent, whatever is asked; both ends belong to it', async () => {
  const { access, accountId } = await opened({ transactionFrom: later(2 * minuteMs), transactionTo: later(4 * minuteMs) })
  await withHistory(accountId, 6)
  const list = async (query: Partial<TransactionQuery>) => amounts(await transactions(access, { accountId, limit: 10, ...query }))
  assert.deepEqual(await list({}), [4, -3, 2])
  assert.deepEqual(await list({ from: noon, to: later(60 * minuteMs) }), [4, -3, 2])
  assert.deepEqual(await list({ from: later(3 * minuteMs) }), [4, -3])
  assert.deepEqual(await list({ to: later(3 * minuteMs) }), [-3, 2])
  assert.deepEqual(await list({ from: later(5 * minuteMs) }), [])
  assert.deepEqual(await list({ page: 1 }), [4, -3, 2])
})
test('AIS-07 Basic transactions show no description, balance or counterparty', async () => {
  const { access, accountId } = await opened({ permissions: basic })
  const {
    transactions: [shown],
  } = await transactions(access, { accountId, limit: 1 })
  assert.ok(shown)
  assert.deepEqual([shown.description, shown.balanceAfter, shown.counterparty], [undefined, undefined, undefined])
  assert.deepEqual([shown.amount, shown.reference, shown.bookedAt], [gbp(100_000), 'OPENING', noon])
})
test('AIS-15 Detail shows them, and each leg has an id of its own', async () => {
  const { access, accountIds } = await opened({}, 2)
  const [first, second] = accountIds as [AccountId, AccountId]
  await move(first, second, 700, later(minuteMs))
  const [sent, received] = await Promise.all(
    [first, second].map(async (accountId) => (await transactions(access, { accountId, limit: 1 })).transactions[0]),
  )
  assert.ok(sent && received)
  assert.deepEqual(
    [sent.amount, sent.balanceAfter, sent.description, sent.counterparty?.schemeName],
    [gbp(-700), gbp(99_300), 'Moved 700', 'UK.OBIE.SortCodeAccountNumber'],
  )
  assert.equal(sent.entryId, received.entryId)
  assert.notEqual(sent.id, received.id)
})

test('AIS-16 RW-D-09 walking the cursors gives everything once, newest first, and back again', async () => {
  const { access, accountId } = await opened()
  await withHistory(accountId, 11)
  const all = amounts(await transactions(access, { accountId, limit: 100 }))
  assert.equal(all.length, 12)
  const forwards: number[][] = []
  let page = await transactions(access, { accountId, limit: 5 })
  assert.equal(page.previous, undefined)
  for (;;) {
    forwards.push(amounts(page))
    if (page.next === undefined) break
    page = await transactions(access, { accountId, limit: 5, after: page.next })
  }
  assert.deepEqual(forwards.flat(), all)
  assert.deepEqual(
    forwards.map(({ length }) => length),
    [5, 5, 2],
  )
  page = await transactions(access, { accountId, limit: 5, after: page.previous })
  assert.deepEqual(amounts(page), forwards[1])
  page = await transactions(access, { accountId, limit: 5, after: page.previous })
  assert.deepEqual([amounts(page), page.previous], [forwards[0], undefined])
  assert.ok(page.next)
})
test('RW-D-11 postings that arrive during a walk lose nothing and repeat nothing', async () => {
  const { access, accountId } = await opened()
  await withHistory(accountId, 6)
  const first = await transactions(access, { accountId, limit: 3 })
  await move(world.own.settlement.GBP as AccountId, accountId, 777, later(60 * minuteMs))
  const second = await transactions(access, { accountId, limit: 10, after: first.next })
  assert.deepEqual([...amounts(first), ...amounts(second)], [6, -5, 4, -3, 2, -1, 100_000])
})
test('AIS-16 many postings of one moment have a stable order', async () => {
  const { access, accountId } = await opened()
  for (let n = 1; n <= 5; n++) await move(world.own.settlement.GBP as AccountId, accountId, n, later(minuteMs))
  const first = await transactions(access, { accountId, limit: 2 })
  const second = await transactions(access, { accountId, limit: 10, after: first.next })
  assert.deepEqual(
    [amounts(first), amounts(second)],
    [
      [5, 4],
      [3, 2, 1, 100_000],
    ],
  )
})
test('NAT-A7 NAT-S8 numbered pages are the same list; beyond the end there is nothing', async () => {
  const { customerId } = await world.person()
  const accountId = await world.newAccount({ customerId, funds: 100_000n })
  await withHistory(accountId, 11)
  const token = { ...bareToken, clientId: app, scopes: new Set(['transactions:read']), grantId: await world.grant(customerId, app) }
  const access = await world.access(token, { api: 'bank', operation: 'transactions.read', accountId, now: noon })
  const pages = await Promise.all([1, 2, 3, 4, 9_000_000].map((page) => transactions(access, { accountId, limit: 5, page })))
  assert.deepEqual(pages.flatMap(amounts), amounts(await transactions(access, { accountId, limit: 100 })))
  assert.deepEqual(
    pages.map(({ transactions: { length }, total }) => [length, total]),
    [
      [5, 12],
      [5, 12],
      [2, 12],
      [0, 12],
      [0, 12],
    ],
  )
})

test('the consent screens see the last four digits, and no closed account', async () => {
  const { customerId } = await world.person()
  const accountId = await world.newAccount({ customerId, funds: 5n })
  const closed = await world.newAccount({ customerId })
  await world.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${closed}`)
  const shown = await world.asAuthServer((tx) => listCustomerAccounts(tx, customerId))
  assert.deepEqual(
    shown.map(({ id, available, lastFour }) => [id, available, lastFour.length]),
    [[accountId, gbp(5), 4]],
  )
  await assert.rejects(
    world.asAuthServer((tx) => tx.query(sql.unsafe`select account_number from ledger.account`)),
    /permission denied/,
  )
})

test('every read is one statement on an index', async () => {
  const { accountId } = await opened()
  const plan = async (query: ReturnType<typeof sql.fragment>) =>
    transact(world.owner, async (tx) => {
      await tx.query(sql.unsafe`set local enable_seqscan = off`)
      return (await tx.anyFirst(sql.unsafe`explain ${query}`)).join('\n')
    })
  assert.match(
    await plan(sql.fragment`select 1 from ledger.posting p where p.account_id = ${accountId} and (p.booked_at, p.posting_number) < (${sql.timestamp(noon)}, 5)
      order by p.booked_at desc, p.posting_number desc limit 26`),
    /Index (Only )?Scan (Backward )?using posting_is_numbered_by_account/,
  )
})
