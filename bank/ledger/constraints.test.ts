import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, sqlState, type Transaction, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { type AccountId, newAccountId, newEntryId, newHoldId, newPaymentId } from '../ids.ts'
import { minorDigits } from '../money.ts'
import type { Payment } from '../payments/payment.ts'
import { submitPayment } from '../payments/submit-payment.ts'
import { gbp, later, noon, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'

let bank: TestBank
let ann: AccountId
let ben: AccountId
let euro: AccountId
let hold: string
let carol: AccountId
let paid: Payment

before(async () => {
  bank = await openTestBank()
  ann = await bank.newAccount({ funds: 1000n })
  ben = await bank.newAccount()
  euro = await bank.newAccount({ currency: 'EUR', funds: 1000n })
  hold = newHoldId()
  await bank.owner.query(sql.unsafe`select ledger.place_hold(${hold}, ${ann}, 100, 'GBP', ${at(0)}, ${at(60_000)})`)
  carol = await bank.newAccount()
  const { access, consentId, initiation } = await bank.newConsent({ debtorAccountId: ann, creditorAccountId: ben, amount: gbp(100) })
  paid = await transact(bank.resourceApi, (tx) => submitPayment(tx, { access, consentId, channel: 'uk_v4', initiation, now: noon }))
})
after(() => bank.close())

const at = (ms: number) => sql.timestamp(later(ms))
const entry = (tx: Transaction, kind = 'transfer') => {
  const entryId = newEntryId()
  return tx
    .query(sql.unsafe`
    insert into ledger.entry values (${entryId}, ${kind}, 'GBP', 'd', 'r', null, null, ${at(0)}, '2026-03-02')`)
    .then(() => entryId)
}
const posting = (tx: Transaction, entryId: string, accountId: string, number: number, amount: number, currency = 'GBP') =>
  tx.query(
    sql.unsafe`insert into ledger.posting values (${accountId}, ${number}, ${entryId}, ${currency}, ${amount}, 0, 'n', null, null, ${at(0)})`,
  )
const account = (tx: Transaction, columns: Record<string, string | number | null>) => {
  const row = { account_id: newAccountId(), customer_id: null, kind: 'equity', currency: 'GBP', status: 'open', nickname: 'n', ...columns }
  const all = { holder_name: 'h', type_code: 'OTHR', posted_minor: 0, held_minor: 0, overdraft_minor: 0, posting_count: 0, ...row }
  const names = sql.join(
    Object.keys({ ...all, opened_at: 0 }).map((name) => sql.identifier([name])),
    sql.fragment`, `,
  )
  return tx.query(sql.unsafe`insert into ledger.account (${names}) values (${sql.join(Object.values(all), sql.fragment`, `)}, ${at(0)})`)
}
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
  ['posting_currency_matches_account', async (tx) => posting(tx, await entry(tx), euro, 99, 5)],
  [
    'entry_balances',
    async (tx) => {
      const entryId = await entry(tx)
      await posting(tx, entryId, ann, 99, 5)
      await posting(tx, entryId, ben, 99, -4)
    },
  ],
  [
    'entry_balances',
    async (tx) => {
      const entryId = await entry(tx)
      await posting(tx, entryId, ann, 99, 5)
      await posting(tx, entryId, euro, 99, -5, 'EUR')
    },
  ],
  ['entry_has_two_postings', (tx) => entry(tx)],
  ['entry_kind_is_known', (tx) => entry(tx, 'gift')],
  ['entry_reversal_names_what_it_reverses', (tx) => entry(tx, 'reversal')],
  ['posting_amount_is_not_zero', async (tx) => posting(tx, await entry(tx), ann, 99, 0)],
  ['posting_is_numbered_by_account', async (tx) => posting(tx, await entry(tx), ann, 1, 5)],
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
  ['hold_moves_forward', (tx) => tx.query(sql.unsafe`update ledger.hold set amount_minor = 1 where hold_id = ${hold}`)],
  [
    'hold_moves_forward',
    async (tx) => {
      await tx.query(sql.unsafe`select ledger.release_hold(${hold}, 'released', ${at(0)})`)
      await tx.query(sql.unsafe`update ledger.hold set status = 'expired' where hold_id = ${hold}`)
    },
  ],
  [
    'entry_posts_a_payment_once',
    async (tx) => {
      for (const id of [newEntryId(), newEntryId()])
        await tx.query(sql.unsafe`
          insert into ledger.entry values (${id}, 'transfer', 'GBP', 'd', 'r', ${paid.id}, null, ${at(0)}, '2026-03-02')`)
    },
  ],
  ['capture_is_as_its_payment_says', (tx) => capture(tx, { holdId: holdOf(paid), to: carol, paymentId: paid.id })],
  ['capture_is_as_its_payment_says', (tx) => capture(tx, { holdId: holdOf(paid), to: carol, paymentId: null })],
  ['capture_is_as_its_payment_says', (tx) => capture(tx, { holdId: sql.fragment`${hold}::text`, to: ben, paymentId: paid.id })],
  ['capture_is_as_its_payment_says', (tx) => capture(tx, { holdId: holdOf(paid), to: ben, paymentId: newPaymentId() })],
  ['transfer_is_between_two_accounts', (tx) => capture(tx, { holdId: sql.fragment`${hold}::text`, to: ann, paymentId: null })],
  ['posting_currency_matches_account', (tx) => capture(tx, { holdId: sql.fragment`${hold}::text`, to: euro, paymentId: null })],
  ['hold_is_captured_once', (tx) => capture(tx, { holdId: sql.fragment`${hold}::text`, to: ben, paymentId: null }, 2)],
]

const holdOf = ({ id }: Payment) => sql.fragment`(select hold_id from payments.payment where payment_id = ${id})`
type Captured = { readonly holdId: ReturnType<typeof holdOf>; readonly to: AccountId; readonly paymentId: string | null }
function capture(tx: Transaction, { holdId, to, paymentId }: Captured, times = 1) {
  const asked = sql.fragment`jsonb_build_object(
    'hold_id', ${holdId}, 'entry_id', ${newEntryId()}::text, 'creditor_account_id', ${to}::text, 'payment_id', ${paymentId}::text,
    'description', 'd', 'reference', 'r')`
  return tx.query(
    sql.unsafe`select ledger.capture_holds(jsonb_build_array(${sql.join(Array(times).fill(asked), sql.fragment`, `)}), ${at(0)})`,
  )
}

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
  // Held up by others: a second reversal of one entry cannot be written before reversals can; the pair is what foreign keys point at.
  const elsewhere = ['entry_reverses_another_once', 'account_currency_is_fixed', 'entry_id_is_prefixed']
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
