import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { type ConsentKind, type ConsentStatus, mayMove, moves } from './consent.ts'
import { openWorld, type World } from './testing/test-world.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const row = z.object({ kind: z.string(), from_status: z.string(), to_status: z.string() })

test('CON-01 the state table here is the one in the database', async () => {
  const stored = await world.owner.any(sql.type(row)`select kind, from_status, to_status from consents.transition`)
  const written = Object.entries(moves).flatMap(([kind, from]) =>
    Object.entries(from).flatMap(([status, to]) => to.map((next) => `${kind} ${status} ${next}`)),
  )
  assert.deepEqual(stored.map(({ kind, from_status, to_status }) => `${kind} ${from_status} ${to_status}`).sort(), written.sort())
})

test('CON-01 the database refuses a move that is not drawn, whoever writes', async () => {
  const consent = await world.lodge()
  for (const to of ['COND', 'CANC'])
    await assert.rejects(
      world.owner.query(sql.unsafe`update consents.consent set status = ${to} where consent_id = ${consent.id}`),
      (error) => violatedConstraint(error) === 'consent_moves_forward',
    )
})

test('CON-01 rejected, consumed and expired are ends', () => {
  const statuses: ConsentStatus[] = ['AWAU', 'AUTH', 'RJCT', 'COND', 'CANC', 'EXPD']
  for (const kind of Object.keys(moves) as ConsentKind[])
    for (const status of ['RJCT', 'COND', 'EXPD'] as const)
      for (const to of statuses) assert.equal(moves[kind][status]?.includes(to) ?? false, false)
})

test('PIS-18 a payment consent is neither cancelled nor authorised again', async () => {
  const consent = await world.lodgePayment()
  assert.equal(mayMove({ ...consent, status: 'AUTH' }, 'CANC'), false)
  assert.equal(mayMove({ ...consent, status: 'AUTH' }, 'AUTH'), false)
})

test('CON-04 what a consent was given for never changes, whoever writes', async () => {
  const consent = await world.lodgePayment()
  for (const change of [
    sql.fragment`amount_minor = amount_minor + 1`,
    sql.fragment`creditor_name = 'Mallory'`,
    sql.fragment`permissions = '{ReadBalances}'`,
    sql.fragment`client_id = 'other-party'`,
  ])
    await assert.rejects(
      world.owner.query(sql.unsafe`update consents.consent set ${change} where consent_id = ${consent.id}`),
      (error) => violatedConstraint(error) === 'consent_terms_never_change',
    )
})
