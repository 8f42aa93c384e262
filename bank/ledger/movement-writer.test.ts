import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { systemClock } from '@bankside/service-kit/clock'
import { sql, z } from '@bankside/service-kit/postgres'
import type { AccountId, EntryId, HoldId } from '../ids.ts'
import { gbp, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { firstMovement, followMovements } from './follow-movements.ts'
import type { Movement, MovementOutcome, Operation } from './movement.ts'
import { movementKey } from './movement-key.ts'
import { type MovementWriter, openMovementWriter } from './movement-writer.ts'
import { reconcile } from './reconcile.ts'

let bank: TestBank
let writer: MovementWriter
before(async () => {
  bank = await openTestBank()
  writer = openMovementWriter(bank.urls.ledgerUrl, { clock: systemClock })
})
after(async () => {
  await writer.close()
  await bank.close()
})

const keyed = (key: string, request: unknown = null) => movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'test', key, request })
const movement = (...operations: [Operation, ...Operation[]]): Movement => ({ key: keyed(randomUUID()), operations, actor: 'test' })
const write = (...operations: [Operation, ...Operation[]]) => writer.write(movement(...operations))
const words = { description: 'd', reference: 'r' } as const
const transfer = (from: AccountId, to: AccountId, amount: number | bigint): Operation => ({
  kind: 'transfer',
  from,
  to,
  amount: gbp(amount),
  ...words,
})
const hold = (accountId: AccountId, amount: number): Operation => ({
  kind: 'hold',
  accountId,
  amount: gbp(amount),
  expiresAt: new Date(Date.now() + 60_000),
})
const capture = (holdId: HoldId, to: AccountId, more = {}): Operation => ({ kind: 'capture', holdId, to, ...words, ...more })
const madeBy = <Id extends EntryId | HoldId>(outcome: MovementOutcome): Id => {
  assert.ok('made' in outcome, JSON.stringify(outcome))
  return outcome.made[0] as Id
}
const balances = async (...accounts: AccountId[]) =>
  Promise.all(
    accounts.map((id) =>
      bank.owner.one(sql.type(z.object({ posted: z.bigint(), held: z.bigint() }))`
        select posted_minor as posted, held_minor as held from ledger.account where account_id = ${id}`),
    ),
  ).then((rows) => rows.map(({ posted, held }) => (held === 0n ? Number(posted) : [Number(posted), Number(held)])))

test('a hundred at once are each decided as if they had come one after another', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  const asked = Array.from({ length: 100 }, (_, index) => movement(transfer(from, to, index === 3 ? 60 : 1)))
  const outcomes = await Promise.all(asked.map(writer.write))
  // The first three leave 97, the fourth takes 60, and 37 more take what is left.
  assert.deepEqual(
    outcomes.map((outcome) => 'made' in outcome),
    Array.from({ length: 100 }, (_, index) => index < 41),
  )
  assert.deepEqual(outcomes.at(-1), { declined: 'insufficient_funds' })
  assert.deepEqual(await balances(from, to), [0, 100])
  const kept = await bank.owner.anyFirst(sql.unsafe`
    select replace(movement_key::text, '-', '') from ledger.movement where movement_key = any (${sql.array(
      asked.map(({ key }) => key.id),
      'uuid',
    )})`)
  assert.deepEqual(
    kept.map(String).sort(),
    asked.flatMap(({ key }, index) => (index < 41 ? [key.id] : [])).sort(),
    'what is declined leaves no key',
  )
})

test('money that comes in can be spent by what comes after it, in one call, and not by what came before', async () => {
  const [rich, middle, end] = [await bank.newAccount({ funds: 100n }), await bank.newAccount(), await bank.newAccount()]
  const [early, paid, late] = await Promise.all([
    write(transfer(middle, end, 50)),
    write(transfer(rich, middle, 80)),
    write(transfer(middle, end, 70)),
  ])
  assert.deepEqual(early, { declined: 'insufficient_funds' })
  assert.ok('made' in paid && 'made' in late)
  assert.deepEqual(await balances(rich, middle, end), [20, 10, 70])
})

test('what brings money to one account does not wait for others that do; what spends it waits for all that came before', async () => {
  // What waits for the slow one has not locked the shop yet: accounts are locked in the order of their ids.
  const [slow, shop] = [await bank.newAccount(), await bank.newAccount()].sort() as [AccountId, AccountId]
  const [quick, other, end] = [await bank.newAccount({ funds: 20n }), await bank.newAccount({ funds: 1n }), await bank.newAccount()]
  madeBy(await write(transfer(quick, slow, 10)))
  const outcomes = await bank.owner.connect(async (connection) => {
    await connection.query(sql.unsafe`begin`)
    await connection.query(sql.unsafe`select from ledger.account where account_id = ${slow} for update`)
    const first = write(transfer(slow, shop, 10))
    madeBy(await write(transfer(quick, shop, 4)))
    const others = [first, write(transfer(shop, end, 14)), write(transfer(quick, shop, 5))]
    madeBy(await write(transfer(other, end, 1)))
    await connection.query(sql.unsafe`commit`)
    return Promise.all(others)
  })
  assert.ok(
    outcomes.every((outcome) => 'made' in outcome),
    JSON.stringify(outcomes),
  )
  assert.deepEqual(await balances(shop, end), [5, 15])
})

test('a key makes its movement once, however many ask at once; another request under it is told so; a decline does not burn it', async () => {
  const [from, to] = [await bank.newAccount({ funds: 10n }), await bank.newAccount()]
  const asked: Movement = { key: keyed('once', { amount: 5 }), operations: [transfer(from, to, 5)], actor: 'test' }
  const other = { ...asked, key: keyed('once', { amount: 6 }) }
  const outcomes = await Promise.all([asked, asked, other, asked].map((one) => writer.write(one)))
  const entryId = madeBy(outcomes[0] as MovementOutcome)
  assert.deepEqual(outcomes, [
    { made: [entryId], replayed: false },
    { made: [entryId], replayed: true },
    { declined: 'key_reused' },
    { made: [entryId], replayed: true },
  ])

  const poor: Movement = { key: keyed('poor'), operations: [transfer(from, to, 50)], actor: 'test' }
  assert.deepEqual(await writer.write(poor), { declined: 'insufficient_funds' })
  await write(transfer(to, from, 5))
  assert.deepEqual(await writer.write({ ...poor, operations: [transfer(from, to, 10)] }), {
    made: [madeBy(await writer.write({ ...poor, operations: [transfer(from, to, 10)] }))],
    replayed: false,
  })
})

test('a key is forgotten after a day', async () => {
  const [from, to] = [await bank.newAccount({ funds: 10n }), await bank.newAccount()]
  const asked: Movement = { key: keyed('yesterday'), operations: [transfer(from, to, 1)], actor: 'test' }
  const first = madeBy(await writer.write(asked))
  await bank.owner.query(
    sql.unsafe`update ledger.movement set made_at = made_at - interval '25 hours' where movement_key = ${asked.key.id}`,
  )
  assert.notEqual(madeBy(await writer.write(asked)), first)
  assert.deepEqual(await balances(to), [2])
})

test('operations of one movement succeed or fail together, and a later one may spend what an earlier one brought', async () => {
  const [rich, middle, end] = [await bank.newAccount({ funds: 100n }), await bank.newAccount(), await bank.newAccount()]
  assert.deepEqual(await write(transfer(rich, middle, 40), transfer(middle, end, 41)), { declined: 'insufficient_funds' })
  assert.deepEqual(await balances(rich, middle, end), [100, 0, 0])
  const both = await write(transfer(rich, middle, 40), transfer(middle, end, 40))
  assert.ok('made' in both && both.made.length === 2)
  assert.deepEqual(await balances(rich, middle, end), [60, 0, 40])
})

test('an amount with its fee and tax is one entry', async () => {
  const [payer, payee, fee, tax] = [
    await bank.newAccount({ funds: 110n }),
    await bank.newAccount(),
    await bank.newAccount(),
    await bank.newAccount(),
  ]
  const leg = (accountId: AccountId, amount: number) => ({ accountId, amount: gbp(amount), other: accountId === payer ? payee : payer })
  const legs = [leg(payer, -112), leg(payee, 100), leg(fee, 10), leg(tax, 2)]
  assert.deepEqual(await write({ kind: 'legs', legs, ...words }), { declined: 'insufficient_funds' })
  const entryId = madeBy(await write({ kind: 'legs', legs: [leg(payer, -110), leg(payee, 100), leg(fee, 8), leg(tax, 2)], ...words }))
  assert.deepEqual(await balances(payer, payee, fee, tax), [0, 100, 8, 2])
  assert.equal(await bank.owner.oneFirst(sql.unsafe`select count(*) from ledger.posting where entry_id = ${entryId}`), 4n)
  await assert.rejects(write({ kind: 'legs', legs: [leg(payer, -1), leg(payee, 2)], ...words }), /sum to zero/)
})

test('a hold is captured in parts, no more than there is of it, and the rest given back', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  const holdId = madeBy<HoldId>(await write(hold(from, 80)))
  assert.deepEqual(await write(transfer(from, to, 21)), { declined: 'insufficient_funds' })
  assert.ok('made' in (await write(capture(holdId, to, { amountMinor: 30n, keepsRest: true }))))
  assert.deepEqual(await balances(from, to), [[70, 50], 30])
  assert.deepEqual(await write(capture(holdId, to, { amountMinor: 51n })), { declined: 'hold_exceeded' })
  assert.ok('made' in (await write(capture(holdId, to, { amountMinor: 20n }))))
  assert.deepEqual(await balances(from, to), [50, 50])
  assert.deepEqual(await write(capture(holdId, to)), { declined: 'hold_not_active' })

  const other = madeBy<HoldId>(await write(hold(from, 50)))
  const race = await Promise.all([write(capture(other, to)), write({ kind: 'release', holdId: other }), write(capture(other, to))])
  assert.deepEqual(
    race.map((outcome) => 'made' in outcome),
    [true, false, false],
  )
  assert.deepEqual(await write({ kind: 'release', holdId: `hld_${'0'.repeat(32)}` }), { declined: 'hold_not_active' })
})

test('an entry is taken back in parts and never more than once over, at once or one after another', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  const entryId = madeBy<EntryId>(await write(transfer(from, to, 90)))
  const back = (amountMinor?: bigint) => write({ kind: 'reversal', entryId, amountMinor, ...words })
  assert.ok('made' in (await back(30n)))
  const race = await Promise.all([back(40n), back(40n), back()])
  assert.deepEqual(
    race.map((outcome) => ('made' in outcome ? 'made' : outcome.declined)),
    ['made', 'reversal_exceeded', 'made'],
  )
  assert.deepEqual(await back(), { declined: 'entry_reversed' })
  assert.deepEqual(await balances(from, to), [100, 0])
  const reversal = madeBy<EntryId>(race[0] as MovementOutcome)
  assert.deepEqual(await write({ kind: 'reversal', entryId: reversal, ...words }), { declined: 'entry_not_reversible' })
  assert.deepEqual(await write({ kind: 'reversal', entryId: `ent_${'0'.repeat(32)}`, ...words }), { declined: 'entry_not_reversible' })
})

test('of an entry with several legs, legs are taken back; what was spent meanwhile is not', async () => {
  const [payer, payee, fee] = [await bank.newAccount({ funds: 110n }), await bank.newAccount(), await bank.newAccount()]
  const leg = (accountId: AccountId, amount: number) => ({ accountId, amount: gbp(amount), other: payer === accountId ? payee : payer })
  const entryId = madeBy<EntryId>(await write({ kind: 'legs', legs: [leg(payer, -110), leg(payee, 100), leg(fee, 10)], ...words }))
  assert.deepEqual(await write({ kind: 'reversal', entryId, amountMinor: 5n, ...words }), { declined: 'entry_not_reversible' })
  assert.deepEqual(await write({ kind: 'reversal', entryId, legs: [leg(payer, 11), leg(fee, -11)], ...words }), {
    declined: 'reversal_exceeded',
  })
  assert.ok('made' in (await write({ kind: 'reversal', entryId, legs: [leg(payer, 10), leg(fee, -10)], ...words })))
  await write(transfer(payee, fee, 1))
  assert.deepEqual(await write({ kind: 'reversal', entryId, ...words }), { declined: 'insufficient_funds' })
  await write(transfer(fee, payee, 1))
  assert.ok('made' in (await write({ kind: 'reversal', entryId, ...words })))
  assert.deepEqual(await balances(payer, payee, fee), [110, 0, 0])
})

test('a value date may lie before the day of booking, not after it', async () => {
  const [from, to] = [await bank.newAccount({ funds: 10n }), await bank.newAccount()]
  const entryId = madeBy(await write({ ...(transfer(from, to, 1) as Operation & { kind: 'transfer' }), valueDate: '2026-01-31' }))
  const row = z.object({ value_date: z.unknown(), late: z.boolean() })
  const { late } = await bank.owner.one(
    sql.type(
      row,
    )`select value_date, booked_at > '2026-02-01' as late from ledger.entry where entry_id = ${entryId} and value_date = '2026-01-31'`,
  )
  assert.ok(late)
  const good = write(transfer(from, to, 1))
  await assert.rejects(write({ ...(transfer(from, to, 1) as Operation & { kind: 'transfer' }), valueDate: '2999-01-01' }))
  assert.ok('made' in (await good), 'the one it was gathered with is written all the same')
})

test('what is not an account, or of another currency, is declined by itself', async () => {
  const [from, to, euros] = [await bank.newAccount({ funds: 10n }), await bank.newAccount(), await bank.newAccount({ currency: 'EUR' })]
  const outcomes = await Promise.all([
    write(transfer(from, `acc_${'0'.repeat(32)}`, 1)),
    write(transfer(from, euros, 1)),
    write(transfer(from, to, 1)),
  ])
  assert.deepEqual(outcomes.slice(0, 2), [{ declined: 'account_not_found' }, { declined: 'currency_mismatch' }])
  assert.ok('made' in (outcomes[2] as MovementOutcome))
  await assert.rejects(write(transfer(from, from, 1)), /one account/)
  await assert.rejects(write(transfer(from, to, 0)), /not an amount/)
})

test('whoever follows the ledger is told of each movement once, of one that is committed late too, and of none that was not', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  let cursor = firstMovement
  const seen: string[] = []
  const follow = async () => {
    const before = seen.length
    for (let more = true; more; ) {
      const page = await followMovements(bank.owner, { after: cursor, limit: 3 })
      seen.push(...page.movements.flatMap(({ made, released }) => [...made, ...released.map((holdId) => `released ${holdId}`)]))
      cursor = page.cursor
      more = page.movements.length === 3
    }
    return seen.slice(before)
  }
  // What was made before is told when no transaction of another test runs that began before it.
  const isBehind = () =>
    bank.owner.exists(sql.unsafe`select from ledger.movement where (written_in, movement_key) > (${cursor.writtenIn}, ${cursor.key}::uuid)`)
  while (await isBehind()) await follow()
  const late = await bank.owner.connect(async (connection) => {
    // Begun before what comes now, committed after it.
    await connection.query(sql.unsafe`begin`)
    await connection.query(sql.unsafe`insert into ledger.movement (movement_key, request_hash, made, made_at)
      values (${randomUUID()}, ${sql.binary(Buffer.alloc(32))}, 'ent_late', now())`)
    const holdId = madeBy<HoldId>(await write(hold(from, 5)))
    const entryId = madeBy<EntryId>(await write(transfer(from, to, 1)))
    assert.deepEqual(await write(transfer(from, to, 100)), { declined: 'insufficient_funds' })
    assert.deepEqual(await follow(), [], 'nothing is told while one that began before may still be committed')
    await connection.query(sql.unsafe`commit`)
    await write({ kind: 'release', holdId })
    return ['ent_late', holdId, entryId, `released ${holdId}`]
  })
  // Other tests' transactions hold it up as well, for as long as they run.
  const told: string[] = []
  while (told.length < late.length) told.push(...(await follow()))
  assert.deepEqual([...told, ...(await follow())], late)
  await bank.owner.query(sql.unsafe`delete from ledger.movement where made = 'ent_late'`)
})

test('the books agree after all this', async () => assert.deepEqual(await reconcile(bank.worker), []))
