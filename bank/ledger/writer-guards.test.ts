import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Database, sql, violatedConstraint } from '@bankside/service-kit/postgres'
import { type AccountId, newEntryId, newHoldId } from '../ids.ts'
import { later, noon, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { reconcile } from './reconcile.ts'

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
  readonly kind?: string
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
  readonly to?: string
  readonly amount?: string
  readonly valueDate?: string
  readonly key?: string
}
const writeTransfer = (database: Database, transfer: Transfer) => {
  const { id = newEntryId(), kind = 'transfer', to = ben, amount = '1', valueDate = '2026-03-02', key = randomUUID() } = transfer
  return database.query(sql.unsafe`
    select ledger.write_transfer(
      ${now}, ${key}, '', ${id}, ${kind}, ${ann}, ${to}, ${amount}::numeric, 'GBP', 'd', 'r', ${valueDate}::date,
      null, null, null, null, null, null, 'me', null)`)
}

const refused: readonly (readonly [constraint: string, act: (database: Database) => Promise<unknown>])[] = [
  ['entry_balances', (database) => write(database, { legs: [five[0] as Leg, [1, 2, 4]] })],
  ['entry_has_two_postings', (database) => write(database, { legs: [] })],
  ['entry_has_two_postings', (database) => write(database, { legs: [[1, 1, 0]] })],
  ['entry_id_is_prefixed', (database) => write(database, { id: 'ent_1' })],
  ['entry_kind_is_known', (database) => write(database, { kind: 'gift' })],
  ['entry_value_date_is_not_after_booking', (database) => write(database, { valueDate: '2026-03-03' })],
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
]

for (const [index, [constraint, act]] of refused.entries())
  test(`the functions that write the books refuse by name: ${constraint} (${index + 1})`, async () => {
    await assert.rejects(act(bank.owner), (error) => {
      assert.equal(violatedConstraint(error), constraint, String(error))
      return true
    })
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
