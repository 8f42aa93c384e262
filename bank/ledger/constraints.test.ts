import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, sqlState, type Transaction, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { minorDigits } from '../currencies.ts'
import { type AccountId, newAccountId, newEntryId, newHoldId } from '../ids.ts'
import type { Payment } from '../payments/payment.ts'
import { gbp, later, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'

let bank: TestBank
let ann: AccountId
let ben: AccountId
let euro: AccountId
let hold: string
let paid: Payment

before(async () => {
  bank = await openTestBank()
  ann = await bank.newAccount({ funds: 1000n })
  ben = await bank.newAccount({ funds: 1000n })
  euro = await bank.newAccount({ currency: 'EUR', funds: 1000n })
  hold = newHoldId()
  await bank.owner.query(sql.unsafe`select ledger.place_hold(${hold}, ${ann}, 100, 'GBP', ${at(0)}, ${at(60_000)})`)
  paid = await bank.submit(await bank.newConsent({ debtorAccountId: ann, creditorAccountId: ben, amount: gbp(100) }))
})
after(() => bank.close())

const at = (ms: number) => sql.timestamp(later(ms))
type Leg = readonly [account: string, number: number, amount: number, currency?: string]
/** An entry with its postings, by one statement: the books are looked at when it is done. */
const entry = async (
  tx: Transaction,
  { kind = 'transfer', reverses = null as string | null, valueDate = '2026-03-02' },
  ...legs: Leg[]
) => {
  const entryId = newEntryId()
  const rows = legs.map(([account_id, posting_number, amount, currency = 'GBP']) => ({ account_id, posting_number, amount, currency }))
  await tx.query(sql.unsafe`
    with entered as (
      insert into ledger.entry (entry_id, kind, currency, description, reference, reverses, booked_at, value_date)
      values (${entryId}, ${kind}, 'GBP', 'd', 'r', ${reverses}, ${at(0)}, ${valueDate}))
    insert into ledger.posting
    select account_id, posting_number, ${entryId}, currency, amount, 0, 'n', null, null, ${at(0)}
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) leg (account_id text, posting_number bigint, amount numeric, currency text)`)
  return entryId
}
const account = (tx: Transaction, columns: Record<string, string | number | null>) => {
  const row = { account_id: newAccountId(), customer_id: null, kind: 'equity', currency: 'GBP', status: 'open', nickname: 'n', ...columns }
  const all = { holder_name: 'h', type_code: 'OTHR', posted_minor: 0, held_minor: 0, overdraft_minor: 0, posting_count: 0, ...row }
  const names = sql.join(
    Object.keys({ ...all, opened_at: 0 }).map((name) => sql.identifier([name])),
    sql.fragment`, `,
  )
  return tx.query(sql.unsafe`insert into ledger.account (${names}) values (${sql.join(Object.values(all), sql.fragment`, `)}, ${at(0)})`)
}
/** Ben is paid. */
const moved = async (tx: Transaction, amount: number) => {
  const entryId = newEntryId()
  await tx.query(sql.unsafe`
    select ledger.transfer(${entryId}, 'transfer', ${ann}, ${ben}, ${amount}, 'GBP', 'd', 'r', null, null, ${at(1)})`)
  return entryId
}
/** Written past the functions, as far as the balances allow. Ann is given the amount, and ben gives it. */
const posting = async (tx: Transaction, { reverses = null as string | null, paymentId = null as string | null, amount = 1 }) => {
  const entryId = newEntryId()
  await tx.query(sql.unsafe`
    with balanced as (
      update ledger.account set
        posted_minor = posted_minor + case account_id when ${ann} then ${amount}::numeric else -${amount}::numeric end,
        posting_count = posting_count + 1
      where account_id in (${ann}, ${ben}) returning *
    ), entered as (
      insert into ledger.entry (entry_id, kind, currency, description, reference, payment_id, reverses, booked_at, value_date)
      values (${entryId}, ${reverses === null ? 'transfer' : 'reversal'}, 'GBP', 'd', 'r', ${paymentId}, ${reverses}, ${at(2)}, '2026-03-02')
    )
    insert into ledger.posting
    select account_id, posting_count, ${entryId}, 'GBP', case account_id when ${ann} then ${amount}::numeric else -${amount}::numeric end,
      posted_minor, 'n', null, null, ${at(2)} from balanced`)
  return entryId
}
const reversalOf = (tx: Transaction, reverses: string, amount: number) => posting(tx, { reverses, amount })
const moves = (tx: Transaction, from: string, to: string, amount: string, currency = 'GBP') =>
  tx.query(sql.unsafe`
    select ledger.transfer(${newEntryId()}, 'transfer', ${from}, ${to}, ${amount}::numeric, ${currency}, 'd', 'r', null, null, ${at(0)})`)

/** What is done, and the constraint whose name must come back. Every check of the ledger's tables stands here. */
const violations: readonly (readonly [constraint: string, act: (tx: Transaction) => Promise<unknown>])[] = [
  ['amount_is_a_positive_whole_number', (tx) => moves(tx, ann, ben, '0')],
  ['amount_is_a_positive_whole_number', (tx) => moves(tx, ann, ben, '-1')],
  ['amount_is_a_positive_whole_number', (tx) => moves(tx, ann, ben, '1.5')],
  ['amount_is_a_positive_whole_number', (tx) => moves(tx, ann, ben, 'NaN')],
  ['amount_is_a_positive_whole_number', (tx) => moves(tx, ann, ben, '1e37')],
  ['transfer_is_between_two_accounts', (tx) => moves(tx, ann, ann, '1')],
  ['posting_currency_matches_account', (tx) => moves(tx, ann, euro, '1')],
  ['posting_currency_matches_account', (tx) => moves(tx, euro, ann, '1', 'EUR')],
  ['posting_currency_matches_account', (tx) => moves(tx, ann, newAccountId(), '1')],
  ['posting_currency_matches_account', (tx) => entry(tx, {}, [euro, 99, 5], [ben, 99, -5])],
  [
    'posting_belongs_to_an_entry',
    (tx) => tx.query(sql.unsafe`insert into ledger.posting values (${ann}, 99, ${newEntryId()}, 'GBP', 5, 0, 'n', null, null, ${at(0)})`),
  ],
  ['entry_balances', (tx) => entry(tx, {}, [ann, 99, 5], [ben, 99, -4])],
  ['entry_balances', (tx) => entry(tx, {}, [ann, 99, 5], [euro, 99, -5, 'EUR'])],
  ['posting_agrees_with_its_account', (tx) => entry(tx, {}, [ann, 9, 5], [ben, 9, -5])],
  // A number that the account has given already.
  [
    'posting_agrees_with_its_account',
    async (tx) => {
      await moved(tx, 5)
      await moved(tx, 5)
      await entry(tx, {}, [ann, 2, 5], [ben, 2, -5])
    },
  ],
  ['posting_agrees_with_its_account', (tx) => entry(tx, {}, [ann, 0, 5], [ben, 0, -5])],
  ['entry_has_two_postings', (tx) => entry(tx, {})],
  ['entry_kind_is_known', (tx) => entry(tx, { kind: 'gift' })],
  ['entry_reversal_names_what_it_reverses', (tx) => entry(tx, { kind: 'reversal' })],
  ['entry_value_date_is_not_after_booking', (tx) => entry(tx, { valueDate: '2026-03-03' })],
  [
    'entry_of_one_currency_names_it',
    (tx) =>
      tx.query(sql.unsafe`
    insert into ledger.entry values (${newEntryId()}, 'opening', null, 'd', 'r', null, null, ${at(0)}, '2026-03-02')`),
  ],
  [
    'entry_id_is_prefixed',
    (tx) =>
      tx.query(sql.unsafe`
    insert into ledger.entry values ('ent_1', 'transfer', 'GBP', 'd', 'r', null, null, ${at(0)}, '2026-03-02')`),
  ],
  ['entry_is_reversed_once_over', async (tx) => reversalOf(tx, await moved(tx, 5), 6)],
  [
    'entry_is_reversed_once_over',
    async (tx) => {
      const entryId = await moved(tx, 5)
      await reversalOf(tx, entryId, 3)
      await reversalOf(tx, entryId, 3)
    },
  ],
  ['entry_is_reversed_once_over', async (tx) => reversalOf(tx, await reversalOf(tx, await moved(tx, 5), 5), 5)],
  ['posting_amount_is_not_zero', (tx) => entry(tx, {}, [ann, 99, 0], [ben, 99, 0])],
  ['posting_is_numbered_by_account', (tx) => entry(tx, {}, [ann, 1, 5], [ben, 1, -5])],
  ['entry_is_immutable', (tx) => tx.query(sql.unsafe`update ledger.entry set description = 'other'`)],
  ['entry_is_immutable', (tx) => tx.query(sql.unsafe`delete from ledger.entry`)],
  ['posting_is_immutable', (tx) => tx.query(sql.unsafe`update ledger.posting set amount_minor = 7`)],
  ['posting_is_immutable', (tx) => tx.query(sql.unsafe`truncate ledger.posting`)],
  ['account_within_overdraft', (tx) => tx.query(sql.unsafe`update ledger.account set posted_minor = 99 where account_id = ${ann}`)],
  ['account_held_is_not_negative', (tx) => tx.query(sql.unsafe`update ledger.account set held_minor = -1 where account_id = ${ann}`)],
  ['account_overdraft_is_not_negative', (tx) => account(tx, { overdraft_minor: -1 })],
  ['account_id_is_prefixed', (tx) => account(tx, { account_id: 'acc_1' })],
  ['account_kind_is_known', (tx) => account(tx, { kind: 'slush' })],
  ['account_status_is_known', (tx) => account(tx, { status: 'lost' })],
  ['account_type_code_is_iso_20022', (tx) => account(tx, { type_code: 'XXXX' })],
  ['account_customer_kind_has_a_customer', (tx) => account(tx, { kind: 'customer' })],
  ['account_currency_fkey', (tx) => account(tx, { currency: 'XXX' })],
  ['account_sort_code_and_number_come_together', (tx) => account(tx, { sort_code: '040404' })],
  ['account_sort_code_is_six_digits', (tx) => account(tx, { sort_code: '04040', account_number: '12345678' })],
  ['account_number_is_eight_digits', (tx) => account(tx, { sort_code: '040404', account_number: '1234567' })],
  [
    'account_number_is_unique',
    async (tx) => {
      await account(tx, { sort_code: '010101', account_number: '12345678' })
      await account(tx, { sort_code: '010101', account_number: '12345678' })
    },
  ],
  [
    'account_iban_is_unique',
    async (tx) => {
      await account(tx, { iban: 'GB33BUKB20201555555555' })
      await account(tx, { iban: 'GB33BUKB20201555555555' })
    },
  ],
  ['currency_code_is_iso_4217', (tx) => tx.query(sql.unsafe`insert into ledger.currency values ('gbp', 2)`)],
  ['currency_minor_digits_within_range', (tx) => tx.query(sql.unsafe`insert into ledger.currency values ('XTS', 19)`)],
  ['hold_amount_is_positive', (tx) => tx.query(holdWith({ amount: -1 }))],
  ['hold_id_is_prefixed', (tx) => tx.query(holdWith({ id: 'hld_1' }))],
  ['hold_currency_matches_account', (tx) => tx.query(holdWith({ currency: 'EUR' }))],
  ['hold_status_is_known', (tx) => tx.query(holdWith({ status: 'kept', resolved: true }))],
  ['hold_resolved_has_a_time', (tx) => tx.query(holdWith({ status: 'released' }))],
  ['hold_captured_has_an_entry', (tx) => tx.query(holdWith({ status: 'captured' }))],
  ['hold_is_released_or_expired', (tx) => tx.query(sql.unsafe`select ledger.release_hold(${hold}, 'captured', ${at(0)})`)],
  ['hold_captures_at_most_its_amount', (tx) => tx.query(sql.unsafe`update ledger.hold set captured_minor = 101 where hold_id = ${hold}`)],
  [
    'hold_is_placed_for_something_known',
    (tx) => tx.query(sql.unsafe`update ledger.hold set placed_for = 'fun', captured_minor = 1 where hold_id = ${hold}`),
  ],
  ['hold_moves_forward', (tx) => tx.query(sql.unsafe`update ledger.hold set captured_minor = 0 where hold_id = ${hold}`)],
  ['hold_moves_forward', (tx) => tx.query(sql.unsafe`update ledger.hold set amount_minor = 1 where hold_id = ${hold}`)],
  [
    'hold_moves_forward',
    async (tx) => {
      await tx.query(sql.unsafe`select ledger.release_hold(${hold}, 'released', ${at(0)})`)
      await tx.query(sql.unsafe`update ledger.hold set status = 'expired' where hold_id = ${hold}`)
    },
  ],
  // One that was never posted, and one that was, by another entry.
  ['entry_posts_a_payment_once', (tx) => posting(tx, { paymentId: paid.id })],
  [
    'entry_posts_a_payment_once',
    async (tx) => {
      const entryId = await posting(tx, { paymentId: paid.id })
      await tx.query(sql.unsafe`
        update payments.payment set status = 'posted', step = null, entry_id = ${entryId}, lease = lease + 1 where payment_id = ${paid.id}`)
      await tx.query(sql.unsafe`set constraints all immediate`)
      await posting(tx, { paymentId: paid.id })
    },
  ],
  ['transfer_is_between_two_accounts', (tx) => transferTo(tx, ann)],
  ['posting_currency_matches_account', (tx) => transferTo(tx, euro)],
  ['exchange_is_rounded_down', (tx) => exchange(tx, { bought: 116 })],
  ['exchange_is_rounded_down', (tx) => exchange(tx, { bought: 114 })],
  ['exchange_residue_is_all_that_buys_nothing', (tx) => exchange(tx, { priced: 99 })],
  ['exchange_residue_is_all_that_buys_nothing', (tx) => exchange(tx, { sold: 101, bought: 116, priced: 102 })],
  ['exchange_buys_something', (tx) => exchange(tx, { sold: 0, priced: 0, bought: 0 })],
  ['exchange_sold_currency_has_these_digits', (tx) => exchange(tx, { digits: 3, bought: 11, priced: 96 })],
  ['exchange_rate_is_on_record', (tx) => exchange(tx, { quoted: false })],
  ['rate_is_quoted_once', async (tx) => [await quote(tx), await quote(tx)]],
  ['rate_is_between_two_currencies', (tx) => quote(tx, { base: 'EUR' })],
  ['rate_price_is_positive', (tx) => quote(tx, { units: 0 })],
  ['rate_price_scale_within_range', (tx) => quote(tx, { scale: 19 })],
  ['rate_is_immutable', (tx) => tx.query(sql.unsafe`update ledger.rate set price_units = 1`)],
  ['exchange_is_immutable', (tx) => tx.query(sql.unsafe`delete from ledger.exchange`)],
  [
    'movement_is_made_once',
    async (tx) => {
      const key = '00000000-0000-4000-8000-000000000000'
      await movement(tx, key, 'x'.repeat(32))
      await movement(tx, key, 'x'.repeat(32))
    },
  ],
  [
    'reconciliation_scope_is_known',
    (tx) => tx.query(sql.unsafe`insert into ledger.reconciliation (scope, settled_before, discrepancies) values ('some', 0, '[]')`),
  ],
  ['transaction_numbers_is_one_row', (tx) => tx.query(sql.unsafe`insert into ledger.transaction_numbers values (false, 0)`)],
  ['transaction_numbers_added_is_never_less', (tx) => tx.query(sql.unsafe`update ledger.transaction_numbers set added = -1`)],
]

const exchange = async (tx: Transaction, { sold = 100, priced = 100, bought = 115, digits = 2, quoted = true }) => {
  const entryId = await moved(tx, 5)
  if (quoted) await quote(tx)
  await tx.query(sql.unsafe`
    insert into ledger.exchange values (${entryId}, 'GBP', ${digits}, ${sold}, ${priced}, 'EUR', 2, ${bought}, 11511, 4, 'test', ${at(0)})`)
}
const quote = (tx: Transaction, { base = 'GBP', units = 11511, scale = 4 } = {}) =>
  tx.query(sql.unsafe`insert into ledger.rate values (${base}, 'EUR', 'test', ${at(0)}, ${units}, ${scale})`)
const movement = (tx: Transaction, key: string, hash: string) =>
  tx.query(sql.unsafe`insert into ledger.movement values (${key}, ${sql.binary(Buffer.from(hash))}, '', ${at(0)})`)

const transferTo = (tx: Transaction, to: AccountId) =>
  tx.query(sql.unsafe`select ledger.transfer(${newEntryId()}, 'transfer', ${ann}, ${to}, 1, 'GBP', 'd', 'r', null, null, ${at(0)})`)

function holdWith({ id = newHoldId() as string, amount = 1, currency = 'GBP', status = 'active', resolved = false }) {
  return sql.unsafe`insert into ledger.hold values (${id}, ${ann}, ${currency}, ${amount}, ${status}, ${at(0)}, ${at(1)}, ${resolved ? at(1) : null})`
}

for (const [index, [constraint, act]] of violations.entries())
  test(`the ledger refuses by name: ${constraint} (${index + 1})`, async () => {
    const violating = transact(bank.owner, async (tx) => {
      await act(tx)
      await tx.query(sql.unsafe`set constraints all immediate`)
    })
    await assert.rejects(violating, (error) => {
      assert.equal(violatedConstraint(error), constraint, String(error))
      assert.match(sqlState(error) ?? '', /^(23\d\d\d|42501)$/)
      return true
    })
  })

test('every check, key and trigger of the ledger has a row above', async () => {
  const named = await bank.owner.anyFirst(sql.unsafe`
    select conname from pg_constraint c join pg_namespace n on n.oid = connamespace
    where nspname = 'ledger' and contype in ('c', 'u', 't') order by conname`)
  const covered = new Set(violations.map(([constraint]) => constraint))
  // What foreign keys point at.
  const elsewhere = ['account_currency_is_fixed', 'currency_digits_are_fixed']
  assert.deepEqual(
    named.filter((name) => !covered.has(name as string) && !elsewhere.includes(name as string)),
    [],
  )
})

test('the table of currencies is that of bank/money.ts', async () => {
  const rows = await bank.owner.any(
    sql.type(z.object({ currency: z.string(), minor_digits: z.number() }))`select currency, minor_digits from ledger.currency`,
  )
  assert.deepEqual(Object.fromEntries(rows.map(({ currency, minor_digits }) => [currency, minor_digits])), { ...minorDigits })
})
