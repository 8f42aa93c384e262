import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Database, sql, type Transaction, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { untilWaitingForLocks } from '@bankside/service-kit/test-lock-waits'
import { type AccountId, newEntryId, newHoldId, newPaymentId } from '../ids.ts'
import { later, noon, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { reconcile } from './reconcile.ts'
import { randomFrom } from './testing/random.ts'

// The functions that write the books have no triggers behind them (migrations/0105). Here they are called as no writer of ours would.

let bank: TestBank
let ann: AccountId
let ben: AccountId
before(async () => {
  bank = await openTestBank()
  ;[ann = ann, ben = ben] = [await bank.newAccount({ funds: 1000n }), await bank.newAccount({ funds: 1000n })].sort()
})
after(() => bank.close())

type Leg = readonly [operation: number, place: 1 | 2, amount: number, held?: number]
type Call = {
  readonly accounts?: readonly string[]
  readonly movement?: number
  readonly kind?: string | null
  readonly id?: string
  readonly hold?: number
  readonly valueDate?: string
  readonly legs?: readonly Leg[]
}
const [now, soon] = [sql.timestamp(noon), sql.timestamp(later(60_000))]
const five: readonly Leg[] = [
  [1, 1, -5],
  [1, 2, 5],
]

const write = (database: Database, call: Call) => {
  const { accounts = [ann, ben], movement = 1, kind = 'transfer', id = newEntryId(), hold, valueDate = '2026-03-02', legs = five } = call
  const cells = (texts: readonly (string | number)[]) => sql.array(texts.map(String), 'text')
  const amounts = legs.map(([, , amount]) => amount)
  const held = legs.map(([, , , amount = 0]) => amount)
  return database.query(sql.unsafe`
    select ledger.write(
      ${now}, '-infinity', 'me', null, null, null, ${cells(accounts)}, array[${movement}::integer], array[${kind}], array[${id}], null,
      array[${hold === undefined ? null : ann}::text], array[${hold ?? null}::numeric], array['GBP'], null, null, null, array['d'], array['r'], null,
      array[${valueDate}::date], array[${soon}], null, null, ${cells(legs.map(([operation]) => operation))}::integer[],
      ${cells(legs.map(([, place]) => place))}::integer[], ${cells(legs.map(([, place]) => 3 - place))}::integer[], null,
      ${cells(amounts)}::numeric[], ${cells(held)}::numeric[], null, null, null)`)
}

type Transfer = {
  readonly id?: string
  readonly kind?: string
  readonly from?: string
  readonly to?: string
  readonly amount?: string
  readonly valueDate?: string
  readonly key?: string
}
const writeTransfer = (database: Database | Transaction, transfer: Transfer) => {
  const {
    id = newEntryId(),
    kind = 'transfer',
    from = ann,
    to = ben,
    amount = '1',
    valueDate = '2026-03-02',
    key = randomUUID(),
  } = transfer
  return database.query(sql.unsafe`
    select ledger.write_transfer(
      ${now}, ${key}, '', ${id}, ${kind}, ${from}, ${to}, ${amount}::numeric, 'GBP', 'd', 'r', ${valueDate}::date,
      null, null, null, null, null, null, 'me', null)`)
}

const answer = z.object({ outcome: z.array(z.string()) })
type Paid = {
  readonly id?: string
  readonly payment?: string | null
  readonly from?: string
  readonly to?: string
  readonly amount?: string
}

/** As `payments.submit` asks, of payees here and elsewhere. */
const writePayments = (tx: Pick<Transaction, 'query'>, paid: readonly Paid[]) => {
  const cells = (pick: (one: Paid, index: number) => string | null) => sql.array(paid.map(pick), 'text')
  return tx.query(sql.type(answer)`
    select ledger.write_payments(
      ${now}, ${cells(({ id = newEntryId() }) => id)}, ${cells(({ payment = newPaymentId() }) => payment)}, ${cells(({ from = ann }) => from)},
      ${cells(({ to = ben }) => to)}, ${cells(({ amount = '1' }) => amount)}::numeric[], ${cells(() => 'GBP')}, ${cells(() => 'd')}, ${cells(() => 'r')},
      ${cells(() => 'Payee')}, ${cells((_, index) => elsewhere(index, 'UK.OBIE.IBAN'))}, ${cells((_, index) => elsewhere(index, 'GB00'))}) as outcome`)
}
const elsewhere = (index: number, text: string) => (index % 2 === 0 ? text : null)

const refused: readonly (readonly [constraint: string, act: (database: Database) => Promise<unknown>])[] = [
  ['entry_balances', (database) => write(database, { legs: [five[0] as Leg, [1, 2, 4]] })],
  ['entry_has_two_postings', (database) => write(database, { legs: [] })],
  ['entry_has_two_postings', (database) => write(database, { legs: [[1, 1, 0]] })],
  ['entry_id_is_prefixed', (database) => write(database, { id: 'ent_1' })],
  ['entry_kind_is_known', (database) => write(database, { kind: 'gift' })],
  ['entry_value_date_is_not_after_booking', (database) => write(database, { valueDate: '2026-03-03' })],
  // What gives funds back is of no entry, and what is of no kind.
  ['posting_belongs_to_an_entry', (database) => write(database, { kind: 'release' })],
  ['posting_belongs_to_an_entry', (database) => write(database, { kind: 'expire' })],
  ['posting_belongs_to_an_entry', (database) => write(database, { kind: null })],
  [
    'amount_is_a_positive_whole_number',
    (database) =>
      write(database, {
        legs: [
          [1, 1, -0.5],
          [1, 2, 0.5],
        ],
      }),
  ],
  ['account_is_named_once', (database) => write(database, { accounts: [ann, ann] })],
  ['call_is_in_order', (database) => write(database, { movement: 2 })],
  ['call_is_in_order', (database) => write(database, { legs: [...five, [2, 1, -5], [2, 2, 5]] })],
  ['held_amount_is_of_a_hold', (database) => write(database, { legs: [[1, 1, -5, -5], five[1] as Leg] })],
  ['held_amount_is_of_a_hold', (database) => write(database, { kind: 'hold', id: newHoldId(), hold: 5, legs: [] })],
  ['held_amount_is_of_a_hold', (database) => write(database, { kind: 'hold', id: newHoldId(), hold: 5, legs: [[1, 1, 0, 4]] })],
  ['held_amount_is_of_a_hold', (database) => write(database, { kind: 'hold', id: newHoldId(), hold: 5, legs: [[1, 2, 0, 5]] })],
  [
    'amount_is_a_positive_whole_number',
    (database) => write(database, { kind: 'hold', id: newHoldId(), hold: 0.5, legs: [[1, 1, 0, 0.5]] }),
  ],
  ['entry_id_is_prefixed', (database) => writeTransfer(database, { id: 'ent_1' })],
  ['entry_kind_is_known', (database) => writeTransfer(database, { kind: 'gift' })],
  ['entry_value_date_is_not_after_booking', (database) => writeTransfer(database, { valueDate: '2026-03-03' })],
  ['transfer_is_between_two_accounts', (database) => writeTransfer(database, { to: ann })],
  ['amount_is_a_positive_whole_number', (database) => writeTransfer(database, { amount: '0.5' })],
  ['amount_is_a_positive_whole_number', (database) => writeTransfer(database, { amount: '-1' })],
  ['amount_is_a_positive_whole_number', (database) => writeTransfer(database, { amount: 'NaN' })],
  ['transfer_can_be_made', (database) => writeTransfer(database, { amount: '1001' })],
  ['transfer_can_be_made', (database) => writeTransfer(database, { to: 'acc_nobody' })],
  [
    'transfer_can_be_made',
    async (database) => {
      const key = randomUUID()
      await writeTransfer(database, { key })
      await writeTransfer(database, { key })
    },
  ],
  ['entry_id_is_prefixed', (database) => writePayments(database, [{}, { id: 'ent_1' }])],
  ['entry_posts_a_payment_once', (database) => writePayments(database, [{ payment: null }])],
  ['entry_posts_a_payment_once', (database) => writePayments(database, [{}])],
  ['transfer_is_between_two_accounts', (database) => writePayments(database, [{ to: ann }])],
  ['amount_is_a_positive_whole_number', (database) => writePayments(database, [{ amount: '0.5' }])],
  ['amount_is_a_positive_whole_number', (database) => writePayments(database, [{}, { amount: '-1' }])],
  ['amount_is_a_positive_whole_number', (database) => writePayments(database, [{ amount: 'NaN' }])],
]

for (const [index, [constraint, act]] of refused.entries())
  test(`the functions that write the books refuse by name: ${constraint} (${index + 1})`, async () => {
    await assert.rejects(act(bank.owner), (error) => {
      assert.equal(violatedConstraint(error), constraint, String(error))
      return true
    })
  })

test('a transfer by itself locks its accounts in the order of their ids, in whichever they lie', async () => {
  const [from, to] = [`acc_${'0'.repeat(32)}`, `acc_${'f'.repeat(32)}`]
  await bank.owner.query(sql.unsafe`
    select ledger.open_account(id, null, 'internal', 'GBP', 'n', 'h', 'OTHR', null, null, null, 0, ${now})
    from unnest(array[${to}, ${from}] || array(select 'acc_' || md5(n::text) from generate_series(1, 200) n)) id`)
  // Of a table whose rows are counted and few, a plan for these two takes them as they lie.
  await bank.owner.query(sql.unsafe`analyze ledger.account`)
  let writing: Promise<void> | undefined
  await transact(bank.owner, async (holder) => {
    await holder.query(sql.unsafe`select from ledger.account where account_id = ${from} for update`)
    writing = transact(bank.owner, async (tx) => {
      await tx.query(sql.unsafe`set local plan_cache_mode = force_custom_plan`)
      await writeTransfer(tx, { from, to })
    })
    await untilWaitingForLocks(bank.owner, 1)
    const free = sql.unsafe`select account_id from ledger.account where account_id = ${to} for update skip locked`
    assert.deepEqual(await holder.anyFirst(free), [to])
  })
  await writing
})

test('called as it should be, the same call is done, and the books agree', async () => {
  await write(bank.owner, {})
  await write(bank.owner, { accounts: [ben, ann] })
  await write(bank.owner, { kind: 'hold', id: newHoldId(), hold: 5, legs: [[1, 1, 0, 5]] })
  await writeTransfer(bank.owner, {})
  const balances = await bank.owner.anyFirst(sql.unsafe`
    select posted_minor from ledger.account where account_id in (${ann}, ${ben}) order by account_id`)
  assert.deepEqual(balances, [998n, 1002n])
  const held = await reconcile(bank.worker)
  assert.deepEqual(
    held.filter(({ name }) => name !== 'active hold without a held payment'),
    [],
  )
})

test('payments are decided, booked and answered as movements are that say the same', async () => {
  const random = randomFrom(20)
  const rich = await bank.newAccount({ funds: 10n ** 30n })
  const [frozen, closed] = [await bank.newAccount({ funds: 50n }), await bank.newAccount({})]
  const euros = await bank.newAccount({ currency: 'EUR' })
  await bank.owner.query(sql.unsafe`update ledger.account set status = 'frozen' where account_id = ${frozen}`)
  await bank.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${closed}`)
  const accounts = [ann, ben, ann, ben, rich, bank.own.settlement.GBP ?? '', frozen, closed, euros, 'acc_nobody']
  const answers = new Set<string>()
  for (let round = 0; round < 30; round++) {
    const paid = Array.from({ length: 1 + random.below(8) }, () => {
      const from = random.pick(accounts)
      const to = random.pick(accounts.filter((account) => account !== from))
      return { id: newEntryId(), payment: newPaymentId(), from, to, amount: String(random.amount(random.chance(0.8) ? 400n : 10n ** 31n)) }
    })
    const asMovements = await undone(async (tx) => (await writeAsMovements(tx, paid)).rows[0]?.outcome)
    assert.deepEqual(await undone(async (tx) => (await writePayments(tx, paid)).rows[0]?.outcome), asMovements)
    for (const answer of asMovements.answered) answers.add(answer)
  }
  assert.deepEqual([...answers].sort(), ['account_not_found', 'account_not_usable', 'currency_mismatch', 'done', 'insufficient_funds'])
})

/** As `writePayments` says it, in the words of `ledger.write`: two legs of each. */
const writeAsMovements = (tx: Transaction, paid: readonly Paid[]) => {
  const accounts = [...new Set(paid.flatMap(({ from = '', to = '' }) => [from, to]))].sort()
  const each = (pick: (one: Paid, index: number) => string | null) => sql.array(paid.map(pick), 'text')
  const legs = (debit: (one: Paid, index: number) => string | null, credit: (one: Paid, index: number) => string | null) =>
    sql.array(
      paid.flatMap((one, index) => [debit(one, index), credit(one, index)]),
      'text',
    )
  const place = (account = '') => String(accounts.indexOf(account) + 1)
  const number = (_: Paid, index: number) => String(index + 1)
  const nothing = () => null
  return tx.query(sql.type(answer)`
    select (ledger.write(
      ${now}, '-infinity', null, null, null, null, ${sql.array(accounts, 'text')}, ${each(number)}::integer[], ${each(() => 'transfer')},
      ${each(({ id = '' }) => id)}, null, null, null, ${each(() => 'GBP')}, null, null, null, ${each(() => 'd')}, ${each(() => 'r')},
      ${each(({ payment = null }) => payment)}, null, null, null, null, ${legs(number, number)}::integer[],
      ${legs(
        ({ from }) => place(from),
        ({ to }) => place(to),
      )}::integer[],
      ${legs(
        ({ to }) => place(to),
        ({ from }) => place(from),
      )}::integer[], null,
      ${legs(
        ({ amount }) => `-${amount}`,
        ({ amount = '' }) => amount,
      )}::numeric[], null, ${legs(() => 'Payee', nothing)},
      ${legs((_, index) => elsewhere(index, 'UK.OBIE.IBAN'), nothing)}, ${legs((_, index) => elsewhere(index, 'GB00'), nothing)})).outcome`)
}

const anything = z.object({ row: z.unknown() })
class Undone extends Error {}

/** What is answered, and how the books stand then: taken back again. */
async function undone(writes: (tx: Transaction) => Promise<unknown>) {
  let found: { readonly answered: readonly string[]; readonly books: readonly unknown[] } | undefined
  const work = transact(bank.owner, async (tx) => {
    const answered = (await writes(tx)) as readonly string[]
    const books = await tx.anyFirst(sql.type(anything)`
      select to_jsonb(a) as row from ledger.account a union all select to_jsonb(e) - 'written_in' from ledger.entry e
      union all select to_jsonb(p) from ledger.posting p order by 1`)
    found = { answered, books }
    throw new Undone()
  })
  await assert.rejects(work, Undone)
  return found ?? assert.fail('nothing was found')
}
