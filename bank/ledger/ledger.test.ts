import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import type { AccountId, HoldId } from '../ids.ts'
import { gbp, later, noon, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { expireHolds } from './expire-holds.ts'
import { movementKey } from './movement-key.ts'
import { type MovementWriter, openMovementWriter } from './movement-writer.ts'
import { placeHold } from './place-hold.ts'
import { reconcile } from './reconcile.ts'
import { releaseHold } from './release-hold.ts'
import { type Transfer, transfer } from './transfer.ts'

let bank: TestBank
let writer: MovementWriter
let clock = noon
before(async () => {
  bank = await openTestBank({ maxConnections: 20 })
  writer = openMovementWriter(bank.urls.ledgerUrl, { clock: { now: () => clock } })
})
after(async () => {
  await writer.close()
  await bank.close()
})

const hour = 3_600_000
const words = { kind: 'transfer', description: 'd', reference: 'r', now: noon } as const
const move = (order: Partial<Transfer> & Pick<Transfer, 'from' | 'to' | 'amount'>) =>
  transact(bank.owner, (tx) => transfer(tx, { ...words, ...order }))
const hold = (accountId: AccountId, amount: number, expiresAt = later(hour)) =>
  transact(bank.resourceApi, (tx) => placeHold(tx, { accountId, amount: gbp(amount), expiresAt, now: noon }))
const capture = async (holdId: HoldId, to: AccountId, at = noon) => {
  clock = at
  const key = movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'test', key: randomUUID(), request: null })
  return writer.write({ key, operations: [{ kind: 'capture', holdId, to, description: 'd', reference: 'r' }], actor: 'test' })
}
const release = (holdId: HoldId, as: 'released' | 'expired', now = noon) =>
  transact(bank.worker, (tx) => releaseHold(tx, { holdId, as, now }))
const heldBy = (outcome: { held: HoldId } | { declined: string }): HoldId => {
  assert.ok('held' in outcome, JSON.stringify(outcome))
  return outcome.held
}
const balances = z.object({ posted_minor: z.bigint(), held_minor: z.bigint() })
const balance = (accountId: AccountId) =>
  bank.owner.one(sql.type(balances)`select posted_minor, held_minor from ledger.account where account_id = ${accountId}`)
const setStatus = (accountId: AccountId, status: string) =>
  bank.owner.query(sql.unsafe`update ledger.account set status = ${status} where account_id = ${accountId}`)
const counterparty = z.object({
  counterparty_name: z.string(),
  counterparty_scheme_name: z.string().nullable(),
  counterparty_identification: z.string().nullable(),
  booked_at: z.date(),
})
const postings = (accountId: AccountId) =>
  bank.owner.any(sql.type(counterparty)`select * from ledger.posting where account_id = ${accountId} order by posting_number`)

test('more than there is cannot be moved or held, to the penny; an overdraft is part of what there is', async () => {
  const [rich, poor] = [await bank.newAccount({ funds: 100n, overdraftMinor: 50n }), await bank.newAccount()]
  assert.deepEqual(await move({ from: rich, to: poor, amount: gbp(151) }), { declined: 'insufficient_funds' })
  assert.deepEqual(await hold(rich, 151), { declined: 'insufficient_funds' })
  assert.ok('posted' in (await move({ from: rich, to: poor, amount: gbp(150) })))
  assert.deepEqual(await balance(rich), { posted_minor: -50n, held_minor: 0n })
  assert.deepEqual(await balance(poor), { posted_minor: 150n, held_minor: 0n })
})

test('held funds count against what is available', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  const first = heldBy(await hold(from, 60))
  assert.deepEqual(await hold(from, 41), { declined: 'insufficient_funds' })
  assert.deepEqual(await move({ from, to, amount: gbp(41) }), { declined: 'insufficient_funds' })
  assert.equal(await release(first, 'released'), true)
  assert.ok('posted' in (await move({ from, to, amount: gbp(100) })))
})

test('a hold is captured once, and released no more after that', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  const holdId = heldBy(await hold(from, 60))
  assert.ok('made' in (await capture(holdId, to)))
  assert.deepEqual(await capture(holdId, to), { declined: 'hold_not_active' })
  assert.equal(await release(holdId, 'released'), false)
  assert.deepEqual(await balance(from), { posted_minor: 40n, held_minor: 0n })
  assert.deepEqual(await balance(to), { posted_minor: 60n, held_minor: 0n })
})

test('a hold that has come to its end is not captured; it does not expire before', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  const holdId = heldBy(await hold(from, 60))
  assert.equal(await release(holdId, 'expired', later(hour - 1)), false)
  assert.deepEqual(await capture(holdId, to, later(hour)), { declined: 'hold_expired' })
  assert.equal(await expireHolds(bank.worker, { now: later(hour - 1), limit: 10 }), 0)
  assert.equal(await expireHolds(bank.worker, { now: later(hour), limit: 10 }), 1)
  assert.deepEqual(await balance(from), { posted_minor: 100n, held_minor: 0n })
})

test('a hold that cannot be released is told of, and does not stand in the way of others', async () => {
  const [faulty, sound] = [await bank.newAccount({ funds: 100n }), await bank.newAccount({ funds: 100n })]
  const holdId = heldBy(await hold(faulty, 60))
  await hold(sound, 60)
  const keep = (held: number) =>
    transact(bank.owner, async (tx) => {
      await tx.query(sql.unsafe`set local session_replication_role = replica`)
      await tx.query(sql.unsafe`update ledger.account set held_minor = ${held} where account_id = ${faulty}`)
    })
  await keep(0)
  const reported: HoldId[] = []
  const expire = () => expireHolds(bank.worker, { now: later(hour), limit: 10, onFault: (_error, id) => reported.push(id) })
  assert.deepEqual([await expire(), reported], [1, [holdId]])
  assert.deepEqual(await balance(sound), { posted_minor: 100n, held_minor: 0n })
  await keep(60)
  assert.deepEqual([await expire(), await balance(faulty)], [1, { posted_minor: 100n, held_minor: 0n }])
})

test('a taken-over resource API puts funds out of reach for a week at most, whatever time it says it is', async () => {
  const account = await bank.newAccount({ funds: 100n })
  const week = 7 * 24 * hour
  const far = new Date('2999-01-01T00:00:00.000Z')
  const until = (expiresAt: Date, now: Date) =>
    transact(bank.resourceApi, (tx) => placeHold(tx, { accountId: account, amount: gbp(100), expiresAt, now }))
  for (const [expiresAt, now] of [
    [later(week + 1), noon],
    [far, noon],
    [far, far],
  ] as const)
    await assert.rejects(until(expiresAt, now), (error) => violatedConstraint(error) === 'hold_ends_within_seven_days')
  assert.deepEqual(await balance(account), { posted_minor: 100n, held_minor: 0n })
  heldBy(await until(later(week), noon))
})

test('a frozen account gives nothing but may be paid into; a closed one does neither', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount({ funds: 100n })]
  const holdId = heldBy(await hold(from, 60))
  await setStatus(from, 'frozen')
  assert.deepEqual(await hold(from, 1), { declined: 'account_not_usable' })
  assert.deepEqual(await move({ from, to, amount: gbp(1) }), { declined: 'account_not_usable' })
  assert.deepEqual(await capture(holdId, to), { declined: 'account_not_usable' })
  assert.ok('posted' in (await move({ from: to, to: from, amount: gbp(1) })))
  await setStatus(from, 'closed')
  assert.deepEqual(await move({ from: to, to: from, amount: gbp(1) }), { declined: 'account_not_usable' })
  assert.equal(await release(holdId, 'released'), true)
})

test('each side of an entry names the other; who stands behind the settlement account is told', async () => {
  const [ann, ben] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  await move({ from: ann, to: ben, amount: gbp(10) })
  const seen = (await postings(ben)).at(-1)
  assert.equal(seen?.counterparty_name, 'Ann Example')
  assert.equal(seen?.counterparty_scheme_name, 'UK.OBIE.SortCodeAccountNumber')
  assert.match(seen?.counterparty_identification ?? '', /^040404\d{8}$/)

  const settlement = bank.own.settlement.GBP as AccountId
  await move({
    from: settlement,
    to: ann,
    amount: gbp(7),
    debtor: { name: 'Employer Ltd', schemeName: 'UK.OBIE.IBAN', identification: 'GB00' },
  })
  assert.equal((await postings(ann)).at(-1)?.counterparty_name, 'Employer Ltd')
  assert.equal((await postings(settlement)).at(-1)?.counterparty_name, 'Ann Example')
})

test('time never runs backwards on an account, even when clocks differ', async () => {
  const [from, to] = [await bank.newAccount({ funds: 100n }), await bank.newAccount()]
  await move({ from, to, amount: gbp(1), now: later(hour) })
  await move({ from, to, amount: gbp(1), now: later(hour - 5_000) })
  const times = (await postings(to)).map(({ booked_at }) => booked_at)
  assert.deepEqual(times, [later(hour), later(hour)])
})

test('opposite transfers at once neither deadlock nor lose money', async () => {
  const [ann, ben] = [await bank.newAccount({ funds: 10_000n }), await bank.newAccount({ funds: 10_000n })]
  const orders = Array.from({ length: 100 }, (_, index) => (index % 2 ? { from: ann, to: ben } : { from: ben, to: ann }))
  const outcomes = await Promise.all(orders.map((order, index) => move({ ...order, amount: gbp(index + 1) })))
  assert.ok(outcomes.every((outcome) => 'posted' in outcome))
  const [one, other] = [await balance(ann), await balance(ben)]
  assert.equal(one.posted_minor + other.posted_minor, 20_000n)
  assert.equal(one.posted_minor, 10_000n - 50n, 'ben gave the odd amounts, each a penny less')
})

test('fifty holds at once cannot set aside more than there is', async () => {
  const account = await bank.newAccount({ funds: 1_000n })
  const outcomes = await Promise.all(Array.from({ length: 50 }, () => hold(account, 90)))
  assert.equal(outcomes.filter((outcome) => 'held' in outcome).length, 11)
  assert.deepEqual(await balance(account), { posted_minor: 1_000n, held_minor: 990n })
})

test('a hold that is captured and released at once ends one way only', async () => {
  const [from, to] = [await bank.newAccount({ funds: 1_000n }), await bank.newAccount()]
  for (let round = 0; round < 10; round++) {
    const holdId = heldBy(await hold(from, 10))
    const [captured, released] = await Promise.all([capture(holdId, to), release(holdId, 'released')])
    assert.notEqual('made' in captured, released)
  }
  assert.equal((await balance(from)).held_minor, 0n)
})

test('whatever is done at random, the books sum to zero and nothing is lost', async () => {
  const seed = 20260302
  const random = mulberry32(seed)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
  const accounts = await Promise.all(Array.from({ length: 6 }, () => bank.newAccount({ funds: 5_000n, overdraftMinor: 200n })))
  const holds: HoldId[] = []
  const acts = Array.from({ length: 400 }, () => {
    const [from, to, amount, dice] = [pick(accounts), pick(accounts), 1 + Math.floor(random() * 1_500), random()]
    return async () => {
      if (from === to) return
      if (dice < 0.5) return void (await move({ from, to, amount: gbp(amount) }))
      if (dice < 0.75) {
        const outcome = await hold(from, amount)
        if ('held' in outcome) holds.push(outcome.held)
        return
      }
      const holdId = holds.pop()
      if (holdId === undefined) return
      if (dice < 0.9) await release(holdId, 'released')
      else await release(holdId, 'expired', later(hour))
    }
  })
  for (let start = 0; start < acts.length; start += 20) await Promise.all(acts.slice(start, start + 20).map((act) => act()))
  for (const holdId of holds) await release(holdId, 'released')
  const sum = await bank.owner.oneFirst(sql.unsafe`
    select sum(posted_minor)::bigint from ledger.account where account_id = any (${sql.array(accounts, 'text')})`)
  assert.equal(sum, 30_000n, `seed ${seed}`)
  assert.deepEqual(
    (await reconcile(bank.worker)).filter(({ name }) => !name.startsWith('active hold')),
    [],
  )
})

function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
