import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openDatabase, sql, transact } from '@bankside/service-kit/postgres'
import { endUnclaimedConsents } from './end-unclaimed-consents.ts'
import { authorisedWorldOf, dayMs, later, minuteMs, noon, openWorld, type World } from './testing/test-world.ts'

let world: World
let worker: Awaited<ReturnType<typeof openDatabase>>
before(async () => {
  world = await openWorld()
  worker = await openDatabase(world.urls.workerUrl)
})
after(async () => {
  await worker.end()
  await world.close()
})

const mustBeClaimed = (grantId: string, before: Date | null) =>
  world.owner.query(
    sql.unsafe`update oidc.grant set claim_before = ${before === null ? null : sql.timestamp(before)} where grant_id = ${grantId}`,
  )
const run = (now: Date) => endUnclaimedConsents(worker, { now, limit: 100 })
const statusOf = async (consentId: string) => {
  const row = await world.owner.one(
    sql.unsafe`select status, status_reason_code as reason, g.revoked_at is not null as ended
      from consents.consent c join oidc.grant g on g.grant_id = c.grant_id where consent_id = ${consentId}`,
  )
  return { ...(row as object) }
}
const untouched = { status: 'AUTH', reason: null, ended: false }

test('GM-06 a consent whose code nobody redeemed in time ends, with its grant; one that was claimed, or need not be, stays', async () => {
  const [unclaimed, claimed, lodged] = [await authorisedWorldOf(world), await authorisedWorldOf(world), await authorisedWorldOf(world)]
  await mustBeClaimed(unclaimed.grantId, later(60 * minuteMs))
  await mustBeClaimed(claimed.grantId, later(60 * minuteMs))
  await mustBeClaimed(claimed.grantId, null)
  assert.equal(await run(later(59 * minuteMs)), 0, 'in time')
  assert.equal(await run(later(61 * minuteMs)), 1)
  assert.deepEqual(await statusOf(unclaimed.consent.id), { status: 'EXPD', reason: 'U036', ended: true })
  for (const { consent } of [claimed, lodged]) assert.deepEqual(await statusOf(consent.id), untouched, 'RW-TOK-03')
  assert.equal(await run(later(2 * dayMs)), 0, 'once')
})

test('GM-06 several workers at once end it once', async () => {
  const { grantId, consent } = await authorisedWorldOf(world)
  await mustBeClaimed(grantId, noon)
  const ended = await Promise.all(Array.from({ length: 4 }, () => run(later(minuteMs))))
  assert.equal(
    ended.reduce((sum, one) => sum + one, 0),
    1,
  )
  const events = await world.owner.oneFirst(
    sql.unsafe`select count(*)::int from events.event where subject = ${consent.id} and type = 'consent.unclaimed'`,
  )
  assert.equal(events, 1)
})

test('GM-06 one that cannot be ended is told of, and does not stand in the way of others', async () => {
  const [faulty, sound] = [await authorisedWorldOf(world), await authorisedWorldOf(world)]
  for (const { grantId } of [faulty, sound]) await mustBeClaimed(grantId, noon)
  await transact(world.owner, async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    await tx.query(sql.unsafe`update consents.consent set permissions = '{NoSuchPermission}' where consent_id = ${faulty.consent.id}`)
  })
  const reported: string[] = []
  const onFault = (_error: unknown, consentId: string) => void reported.push(consentId)
  assert.equal(await endUnclaimedConsents(worker, { now: later(minuteMs), limit: 100, onFault }), 1)
  assert.deepEqual(reported, [faulty.consent.id])
  assert.equal(((await statusOf(sound.consent.id)) as { status: string }).status, 'EXPD')
  await assert.rejects(run(later(minuteMs)), 'where nobody wants to be told')
})
