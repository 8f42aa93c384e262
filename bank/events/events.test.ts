import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import type { CustomerId, EventId } from '../ids.ts'
import { later, noon, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { deliverEvents, maxAttempts } from './deliver-events.ts'
import type { Event } from './event.ts'
import { recordEvent } from './record-event.ts'

let bank: TestBank
let customerId: CustomerId
before(async () => {
  bank = await openTestBank()
  customerId = await bank.newCustomer()
})
after(() => bank.close())

const record = (subject: string, type = 'payment.posted', customer: CustomerId | undefined = customerId) =>
  transact(bank.resourceApi, (tx) => recordEvent(tx, { type, subject, customerId: customer, payload: { subject }, now: noon }))
const stateRow = z.object({ attempts: z.number(), delivered: z.boolean(), dead: z.boolean(), last_error: z.string().nullable() })
const state = (eventId: EventId) =>
  bank.owner.one(sql.type(stateRow)`
    select attempts, delivered_at is not null as delivered, dead_at is not null as dead, last_error from events.event where event_id = ${eventId}`)
const notified = (eventId: EventId) => bank.owner.oneFirst(sql.unsafe`select count(*) from events.notification where event_id = ${eventId}`)

test('no event without its change: both are rolled back together', async () => {
  const before = await bank.owner.oneFirst(sql.unsafe`select count(*) from events.event`)
  await assert.rejects(
    transact(bank.resourceApi, async (tx) => {
      await recordEvent(tx, { type: 'payment.held', subject: 'pay_x', payload: {}, now: noon })
      throw new Error('refused')
    }),
  )
  assert.equal(await bank.owner.oneFirst(sql.unsafe`select count(*) from events.event`), before)
})

test('delivery tells the customer; an event of no customer is delivered to nobody', async () => {
  const [told, silent] = [await record('pay_1'), await record('pay_2', 'client.blocked', undefined)]
  await bank.owner.query(sql.unsafe`update events.event set customer_id = null where event_id = ${silent}`)
  assert.equal(await deliverEvents(bank.worker, { now: noon, limit: 10 }), 2)
  assert.deepEqual([await notified(told), await notified(silent)], [1n, 0n])
  assert.equal((await state(silent)).delivered, true)
  assert.equal(await deliverEvents(bank.worker, { now: noon, limit: 10 }), 0)
})

test('an event that is delivered twice tells the customer once', async () => {
  const eventId = await record('pay_3')
  await deliverEvents(bank.worker, { now: noon, limit: 10 })
  await bank.owner.query(
    sql.unsafe`update events.event set delivered_at = null, next_attempt_at = ${sql.timestamp(noon)} where event_id = ${eventId}`,
  )
  assert.equal(await deliverEvents(bank.worker, { now: noon, limit: 10 }), 1)
  assert.equal(await notified(eventId), 1n)
})

test('within a subject events are delivered in order, by however many workers', async () => {
  const subjects = ['pay_a', 'pay_b', 'pay_c']
  for (let step = 0; step < 8; step++) for (const subject of subjects) await record(subject, `step.${step}`)
  const seen: Event[] = []
  const deliver = async (_tx: unknown, events: readonly Event[]) => void seen.push(...events)
  // A worker that finds all that is left taken by others goes home; somebody comes back later.
  while (
    (await Promise.all([1, 2, 3, 4].map(() => deliverEvents(bank.worker, { now: noon, limit: 10, deliver })))).some((done) => done > 0)
  );
  for (const subject of subjects)
    assert.deepEqual(
      seen.filter((event) => event.subject === subject).map(({ type }) => type),
      Array.from({ length: 8 }, (_, step) => `step.${step}`),
    )
})

test('events of a subject that go in one round keep their order, and none overtakes one that another worker holds or that waits', async () => {
  const [first, second, third] = [await record('pay_h', 'one'), await record('pay_h', 'two'), await record('pay_h', 'three')]
  const seen: string[] = []
  const deliver = async (_tx: unknown, events: readonly Event[]) =>
    void seen.push(...events.filter(({ subject }) => subject === 'pay_h').map(({ type }) => type))
  await transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`select from events.event where event_id = ${second} for update`)
    await deliverEvents(bank.worker, { now: noon, limit: 10, deliver })
    assert.deepEqual(seen, ['one'])
  })
  await bank.owner.query(sql.unsafe`update events.event set next_attempt_at = ${sql.timestamp(later(1))} where event_id = ${second}`)
  await deliverEvents(bank.worker, { now: noon, limit: 10, deliver })
  assert.deepEqual(seen, ['one'])
  await deliverEvents(bank.worker, { now: later(1), limit: 10, deliver })
  assert.deepEqual(seen, ['one', 'two', 'three'])
  assert.ok((await state(first)).delivered && (await state(third)).delivered)
})

test('many events behind one that fails do not keep others waiting', async () => {
  for (let index = 0; index < 12; index++) await record('pay_i', index === 0 ? 'bad' : 'later')
  const deliver = async (_tx: unknown, events: readonly Event[]) => {
    if (events.some(({ type }) => type === 'bad')) throw new Error('nobody answers')
  }
  await deliverEvents(bank.worker, { now: noon, limit: 1, deliver })
  const other = await record('pay_j')
  await deliverEvents(bank.worker, { now: noon, limit: 5, deliver })
  assert.equal((await state(other)).delivered, true)
  for (let hour = 1; hour <= maxAttempts; hour++) await deliverEvents(bank.worker, { now: later(hour * 3_600_000), limit: 100, deliver })
})

test('what fails is tried again later and later, holds up its own subject only, and is given up in the end', async () => {
  const [first, second, other] = [await record('pay_f', 'bad'), await record('pay_f', 'good'), await record('pay_g', 'good')]
  const deliver = async (_tx: unknown, events: readonly Event[]) => {
    if (events.some(({ type }) => type === 'bad')) throw new Error('nobody answers')
  }
  const outcomes: string[] = []
  const round = (now: Date) =>
    deliverEvents(bank.worker, { now, limit: 10, deliver, onFault: (_error, _event, outcome) => outcomes.push(outcome) })
  await round(noon)
  assert.deepEqual(await state(first), { attempts: 1, delivered: false, dead: false, last_error: 'Error: nobody answers' })
  assert.deepEqual([(await state(second)).delivered, (await state(other)).delivered], [false, true])
  assert.equal(await round(later(999)), 0, 'the first retry is a second away')
  for (let hour = 1; hour <= maxAttempts - 1; hour++) await round(later(hour * 3_600_000))
  assert.deepEqual(outcomes, [...Array(maxAttempts - 1).fill('again'), 'dead'])
  assert.deepEqual([(await state(first)).dead, (await state(second)).delivered], [true, true])
})

test('the audit log takes records and gives none back, not even to its owner', async () => {
  const recordId = await transact(bank.worker, (tx) =>
    appendAudit(tx, {
      actor: 'worker',
      action: 'payment.posted',
      subject: 'pay_1',
      interactionId: 'i',
      details: { reason: null },
      now: noon,
    }),
  )
  for (const change of [
    sql.unsafe`update audit.record set actor = 'somebody else' where record_id = ${recordId}`,
    sql.unsafe`delete from audit.record`,
    sql.unsafe`truncate audit.record`,
  ])
    await assert.rejects(bank.owner.query(change), (error) => violatedConstraint(error) === 'record_is_append_only')
})
