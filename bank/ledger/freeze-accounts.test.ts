import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, sqlState, transact, violatedConstraint } from '@bankside/service-kit/postgres'
import { type AccountId, newEntryId } from '../ids.ts'
import { advancePayments } from '../payments/advance-payments.ts'
import { gbp, later, noon, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { freezeAtMost, freezeTouched, liftFreeze } from './freeze-accounts.ts'
import { type Discrepancy, reconcile, reconcileSince, reconcileWhole } from './reconcile.ts'
import { keepReport, keptDiscrepancies, recentSince, takeWhole } from './reconciliation-reports.ts'
import { transfer } from './transfer.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

/** As if neither triggers nor foreign keys were there. */
const breaking = (query: ReturnType<typeof sql.unsafe>) =>
  transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    await tx.query(query)
  })
const move = (from: AccountId, to: AccountId, minor: number) =>
  transact(bank.owner, (tx) =>
    transfer(tx, { from, to, amount: gbp(minor), kind: 'transfer', description: 'd', reference: 'r', now: noon }),
  )
const submit = async (from: AccountId, to: AccountId) =>
  bank.submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(100) }))
const spoil = (account: AccountId, minor: number) =>
  breaking(sql.unsafe`update ledger.account set posted_minor = posted_minor + ${minor} where account_id = ${account}`)
const statusOf = (account: AccountId) => bank.owner.oneFirst(sql.unsafe`select status from ledger.account where account_id = ${account}`)

test('an account whose books do not agree gives and takes nothing until a person lifts it, for a reason on record', async () => {
  const [wrong, other] = [await bank.newAccount({ funds: 500n }), await bank.newAccount({ funds: 500n })]
  const incoming = await submit(other, wrong)
  await spoil(wrong, 1)
  const discrepancies = await reconcile(bank.worker)
  assert.deepEqual(
    discrepancies.find(({ subject }) => subject === wrong),
    { name: 'posted balance differs from the sum of postings', subject: wrong, detail: 'kept 501, added up 500', accounts: [wrong] },
  )
  assert.deepEqual(await freezeTouched(bank.worker, discrepancies, noon), [wrong])
  assert.deepEqual(await freezeTouched(bank.worker, discrepancies, noon), [], 'once')

  assert.deepEqual(await move(wrong, other, 1), { declined: 'account_not_usable' })
  await assert.rejects(move(other, wrong, 1), (error) => violatedConstraint(error) === 'account_takes_nothing_until_reconciled')
  assert.equal((await submit(wrong, other)).rejectionReason, 'AC06')
  await advancePayments(bank.worker, { now: noon, limit: 10, onFault: () => {} })
  const paymentStatus = () => bank.owner.oneFirst(sql.unsafe`select status from payments.payment where payment_id = ${incoming.id}`)
  assert.equal(await paymentStatus(), 'held', 'money that was on its way waits')

  const lift = (accountId: AccountId) =>
    transact(bank.owner, (tx) => liftFreeze(tx, { accountId, actor: 'operator ann', why: 'counted by hand', now: noon }))
  await assert.rejects(bank.worker.query(sql.unsafe`select ledger.lift_freeze(${wrong})`), (error) => sqlState(error) === '42501')
  await spoil(wrong, -1)
  assert.equal(await lift(wrong), 'posted balance differs from the sum of postings')
  assert.equal(await lift(wrong), undefined)
  await advancePayments(bank.worker, { now: later(60_000), limit: 10 })
  assert.deepEqual([await statusOf(wrong), await paymentStatus(), await reconcile(bank.worker)], ['open', 'posted', []])
  const recorded = await bank.owner.any(
    sql.unsafe`select actor, action, details from audit.record where subject = ${wrong} and action <> 'account.changed' order by actor desc`,
  )
  const name = 'posted balance differs from the sum of postings'
  assert.deepEqual(recorded, [
    { actor: 'reconciliation', action: 'account.frozen', details: { name, found: wrong, detail: 'kept 501, added up 500' } },
    { actor: 'operator ann', action: 'account.freeze_lifted', details: { why: 'counted by hand', frozenFor: name } },
  ])
})

test('what touches an entry, a payment, a hold or a consent touches their customers, never an account of the bank', async () => {
  const [from, to] = [await bank.newAccount({ funds: 500n }), await bank.newAccount()]
  const payment = await submit(from, to)
  await breaking(sql.unsafe`update payments.payment set amount_minor = 99 where payment_id = ${payment.id}`)
  await breaking(sql.unsafe`update ledger.posting set amount_minor = amount_minor + 1 where account_id = ${from}`)
  const found = await reconcile(bank.worker)
  const accountsOf = (name: Discrepancy['name']) => found.find((one) => one.name === name)?.accounts
  assert.deepEqual(accountsOf('held payment without its hold'), [from, to].toSorted())
  assert.deepEqual(accountsOf('entry does not balance'), [from], 'the other posting is of an account of the bank')
  assert.deepEqual(accountsOf('payment differs from its consent'), [from, to].toSorted())
  const own = bank.own.equity.GBP as AccountId
  assert.deepEqual(
    await freezeTouched(bank.worker, [{ name: 'currency does not sum to zero', subject: 'GBP', detail: '', accounts: [own] }], noon),
    [],
  )
  assert.equal(await statusOf(own), 'open')
  await breaking(sql.unsafe`update payments.payment set amount_minor = 100 where payment_id = ${payment.id}`)
  await breaking(sql.unsafe`update ledger.posting set amount_minor = amount_minor - 1 where account_id = ${from}`)
})

test('what a payment points at is deleted by who owns the tables, whom no foreign key stops: it is named, and both sides are frozen', async () => {
  const [from, to] = [await bank.newAccount({ funds: 500n }), await bank.newAccount()]
  const { id, consentId } = await submit(from, to)
  const notified = await bank.newAccount()
  await breaking(sql.unsafe`create table public.aside as select * from consents.consent where consent_id = ${consentId}`)
  await bank.owner.query(sql.unsafe`delete from consents.consent where consent_id = ${consentId}`)
  const found = await reconcile(bank.worker)
  assert.deepEqual(found, [
    { name: 'payment points at what is not there', subject: id, detail: `consent ${consentId}`, accounts: [from, to].toSorted() },
  ])
  assert.deepEqual((await freezeTouched(bank.worker, found, noon))?.toSorted(), [from, to].toSorted())
  assert.deepEqual([await statusOf(from), await statusOf(to), await statusOf(notified)], ['frozen', 'frozen', 'open'])
  await breaking(sql.unsafe`insert into consents.consent select * from public.aside`)
  assert.deepEqual(await reconcile(bank.worker), [])
})

test('too many at once are a fault of something else: none is frozen', async () => {
  const account = await bank.newAccount()
  const accounts = [account, ...Array.from({ length: freezeAtMost }, (_, index) => `acc_${index}` as AccountId)]
  assert.equal(
    await freezeTouched(bank.worker, [{ name: 'running balance is wrong', subject: 'x', detail: '', accounts }], noon),
    undefined,
  )
  assert.equal(await statusOf(account), 'open')
})

test('what was booked since the last time is looked at by itself, and finds the same', async () => {
  const sound = await reconcileWhole(bank.worker)
  assert.deepEqual(sound.discrepancies, [])
  await keepReport(bank.worker, 'whole', sound, noon)
  const recent = async () => reconcileSince(bank.worker, await recentSince(bank.worker))
  const [from, to] = [await bank.newAccount({ funds: 500n }), await bank.newAccount()]
  await move(from, to, 10)
  await submit(from, to)
  await advancePayments(bank.worker, { now: noon, limit: 10 })
  assert.deepEqual((await recent()).discrepancies, [])

  const time = sql.timestamp(noon)
  const entryId = newEntryId(noon)
  await breaking(sql.unsafe`insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date)
    values (${entryId}, 'transfer', 'GBP', '', '', ${time}, '2026-03-02')`)
  await breaking(sql.unsafe`insert into ledger.posting (account_id, posting_number, entry_id, currency, amount_minor, balance_minor, counterparty_name, booked_at)
    select account_id, posting_count + 2, ${entryId}, 'GBP', 5, 7, '', last_booked_at from ledger.account where account_id = ${to}`)
  await breaking(sql.unsafe`update ledger.account set held_minor = 3 where account_id = ${from}`)
  const named = (found: readonly Pick<Discrepancy, 'name' | 'subject'>[]) =>
    found.map(({ name, subject }) => `${name}: ${subject}`).toSorted()
  const found = await recent()
  const expected = [
    `entry does not balance: ${entryId}`,
    `entry has fewer than two postings: ${entryId}`,
    `held amount differs from the sum of active holds: ${from}`,
    `posted balance differs from the sum of postings: ${to}`,
    `postings of an account are not numbered without a gap: ${to}`,
    `running balance is wrong: ${to}`,
  ]
  assert.deepEqual(named(found.discrepancies), expected)
  const whole = named(await reconcile(bank.worker))
  assert.deepEqual(
    expected.filter((one) => !whole.includes(one)),
    [],
    'the whole finds all of it, too',
  )

  await keepReport(bank.worker, 'recent', found, noon)
  assert.deepEqual(named(await keptDiscrepancies(bank.worker)), expected)
  assert.deepEqual(named((await recent()).discrepancies), expected, 'until it is put right')
  // Transactions of other test files hold the horizon back: as if none of them ran.
  const settledBefore = (await bank.owner.oneFirst(sql.unsafe`select pg_current_xact_id()::text::bigint`)) as bigint
  await keepReport(bank.worker, 'whole', { ...sound, settledBefore }, noon)
  assert.deepEqual(await keptDiscrepancies(bank.worker), [])
  // What was booked before is not read again.
  assert.deepEqual(
    named((await recent()).discrepancies).filter((one) => one.includes('entry')),
    [],
  )
})

test('one worker goes through the whole, once a day, and another when the first has died', async () => {
  const day = 24 * 3_600_000
  await keepReport(bank.worker, 'whole', { discrepancies: [], settledBefore: 0n }, noon)
  const take = async (ms: number) =>
    (await Promise.all([1, 2, 3].map(() => takeWhole(bank.worker, later(ms))))).filter((taken) => taken).length
  assert.deepEqual([await take(day - 1), await take(day), await take(day + 60_000), await take(day + 3_600_000)], [0, 1, 0, 1])
  await keepReport(bank.worker, 'whole', { discrepancies: [], settledBefore: 0n }, later(day + 3_700_000))
  assert.equal(await take(day + 3_800_000), 0)
})
