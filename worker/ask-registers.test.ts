import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:https'
import { after, before, beforeEach, test } from 'node:test'
import { setClientStatus } from '@bankside/bank/clients/set-client-status'
import { endWithdrawnAccess } from '@bankside/bank/consents/end-withdrawn-access'
import { getCustomerConsent } from '@bankside/bank/consents/list-customer-consents'
import { authorisedWorldOf, later, noon, openWorld, thirdParty, type World } from '@bankside/bank/consents/testing/test-world'
import { askAgain, listRegisterEntries } from '@bankside/bank/licences/ask-again'
import { askRegisters, longestSilenceMs, type Registers } from '@bankside/bank/licences/ask-registers'
import { createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate } from '@bankside/certs/sandbox-credentials'
import { createGuardedFetch } from '@bankside/service-kit/guarded-fetch'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { sql, transact, z } from '@bankside/service-kit/postgres'
import { listen } from '@bankside/service-kit/tls-server'
import { licenceLoops } from './licence-loops.ts'
import { openRegisters, registerSettings } from './registers.ts'
import { createWorkerMetrics } from './worker-metrics.ts'

const hour = 3_600_000
const day = 24 * hour
const organisationId = '00158ACORN'
let world: World
let server: Server
let registers: Registers
const asked: string[] = []
let respond: (path: string) => { status?: number; body: unknown }

const claims = (orgStatus = 'Active', status = 'Active', roles = ['AISP', 'PISP'], memberState = 'GB') => ({
  org_id: organisationId,
  org_status: orgStatus,
  organisation_competent_authority_claims: {
    ...{ authority_id: 'TESTGBR', registration_id: '1', status },
    authorisations: [
      { member_state: memberState, roles },
      { member_state: 'FR', roles: ['CBPII'] },
    ],
  },
})

before(async () => {
  world = await openWorld()
  const authority = await createAuthority({ commonName: 'Test authority', now: new Date() })
  server = createServer(await issueServerCertificate(authority, { keyKind: 'ec', now: new Date() }), ({ url = '' }, response) => {
    asked.push(url)
    const { status = 200, body } = respond(url)
    response.writeHead(status, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  const port = await listen(server, { port: 0, address: '127.0.0.1' })
  const call = createGuardedFetch({ ca: authority.cert, privateHosts: [`localhost:${port}`] })
  const uri = `https://localhost:${port}/organisations`
  registers = openRegisters(registerSettings.parse(JSON.stringify([{ issuer: 'The directory', uri }])), call)
})
after(async () => {
  server.close()
  server.closeAllConnections()
  await world.close()
})
/** One registered client that nobody was asked about yet. */
beforeEach(async () => {
  asked.length = 0
  const metadata = JSON.stringify({ organisation: { id: organisationId, softwareId: 'software1' } })
  await world.owner.query(sql.unsafe`delete from clients.register_entry`)
  await world.owner.query(sql.unsafe`
    update clients.client set status = 'active', withdrawn_at = null, licensed_roles = null, metadata = ${metadata}::jsonb where client_id = ${thirdParty}`)
  await world.owner.query(sql.unsafe`
    insert into clients.registration (client_id, software_issuer, software_id, request, scopes, registered_at, updated_at)
    values (${thirdParty}, 'The directory', 'software1', '{}', '{}', ${sql.timestamp(noon)}, ${sql.timestamp(noon)}) on conflict do nothing`)
  await world.owner.query(sql.unsafe`
    insert into clients.register_entry (directory, organisation_id, created_at, next_ask_at)
    values ('The directory', ${organisationId}, ${sql.timestamp(noon)}, ${sql.timestamp(noon)})`)
})

const answer = (body: unknown, status = 200) => {
  respond = () => ({ status, body })
}
const ask = (now = noon, over: Partial<Parameters<typeof askRegisters>[1]> = {}) =>
  askRegisters(world.worker, { registers, now, limit: 10, ...over })
const clientRow = z.object({ status: z.string(), licensed_roles: z.array(z.string()).nullable() })
const client = () => world.owner.one(sql.type(clientRow)`select status, licensed_roles from clients.client where client_id = ${thirdParty}`)
const recorded = async (action: string) =>
  Number(await world.owner.oneFirst(sql.unsafe`select count(*) from audit.record where action = ${action} and subject = ${thirdParty}`))

test('CERT-08 the register is asked once a day, at its address, and what it says is kept', async () => {
  answer(claims())
  assert.equal(await ask(), 1)
  assert.deepEqual(asked, [`/organisations/${organisationId}`])
  assert.deepEqual(await client(), { status: 'active', licensed_roles: ['PSP_AI', 'PSP_PI'] })
  assert.equal(await ask(later(day - 1)), 0)
  assert.equal(await ask(later(day)), 1)
  assert.equal(asked.length, 2)
})

for (const [what, body] of [
  ['revoked', claims('Revoked')],
  ['withdrawn', claims('Withdrawn')],
  ['in a state that nobody knows', claims('Asleep')],
  ['active, without an authorisation that is', claims('Active', 'Withdrawn')],
] as const)
  test(`CERT-08 who is ${what} gets nothing from the next call on, what it had ends, and the dashboard shows no access`, async () => {
    const { token, customerId, consent, grantId } = await authorisedWorldOf(world)
    const reading = { api: 'uk', operation: 'accounts.list', now: noon } as const
    await world.access(token, reading)
    answer(body)
    const changes: string[] = []
    const before = await recorded('client.withdrawn')
    await ask(noon, { onChange: ({ clientId, change }) => changes.push(`${clientId} ${change}`) })
    assert.deepEqual(changes, [`${thirdParty} withdrawn`])
    assert.equal((await client()).status, 'withdrawn')
    assert.equal(await recorded('client.withdrawn'), before + 1)
    await assert.rejects(world.access(token, reading), { code: 'client_blocked' })
    const shown = () => world.asAuthServer((tx) => getCustomerConsent(tx, { consentId: consent.id, customerId, now: noon }))
    assert.equal((await shown()).active, false, 'at once')

    const end = async (now: Date) => {
      while ((await endWithdrawnAccess(world.worker, { now, limit: 2 })) > 0);
    }
    await end(later(hour - 1))
    const saysAgain = async (now: Date) => {
      await transact(world.owner, (tx) => askAgain(tx, thirdParty, now))
      await ask(now)
    }
    answer(claims())
    await saysAgain(later(hour - 1))
    await world.access(token, reading)
    answer(body)
    await saysAgain(later(hour - 1))
    await end(later(hour))
    assert.equal((await shown()).consent.status, 'AUTH', 'the register was mistaken, and the hour begins anew')
    await end(later(2 * hour))
    const { consent: ended } = await shown()
    assert.deepEqual([ended.status, ended.statusReason?.code], ['EXPD', 'RR04'])
    const revoked = sql.unsafe`select revoked_at is not null from oidc.grant where grant_id = ${grantId}`
    assert.equal(await world.owner.oneFirst(revoked), true)

    answer(claims())
    await saysAgain(later(day))
    assert.equal((await client()).status, 'active')
    await assert.rejects(world.access(token, { ...reading, now: later(day) }), { code: 'consent_not_authorised' }, 'it does not come back')
  })

test('CERT-08 a role that is gone from the register, or is for another country only, opens nothing any more; what is left goes on', async () => {
  const { token } = await authorisedWorldOf(world)
  const reading = (now: Date) => ({ api: 'uk', operation: 'accounts.list', now }) as const
  const lodging = { api: 'uk', operation: 'payment_consent.lodge', now: noon } as const
  answer(claims('Active', 'Active', ['AISP']))
  await ask()
  await world.access(token, reading(noon))
  await assert.rejects(world.access({}, lodging), { code: 'licence_missing' })
  answer(claims('Active', 'Active', ['AISP', 'PISP'], 'IE'))
  await ask(later(day))
  assert.deepEqual(await client(), { status: 'active', licensed_roles: [] })
  await assert.rejects(world.access(token, reading(later(hour))), { code: 'licence_missing' })
  assert.ok((await recorded('client.licence_changed')) >= 2)
  answer({ org_id: organisationId, org_status: 'Active' })
  await ask(later(2 * day))
  assert.deepEqual(await client(), { status: 'active', licensed_roles: null }, 'a register that knows no roles limits none')
  await world.access({}, lodging)
})

for (const [what, body, status] of [
  ['a fault', 'no', 500],
  ['that it knows nobody of the name', claims('Revoked'), 404],
  ['what is no JSON', '<html>', 200],
  ['about somebody else', { ...claims('Revoked'), org_id: 'another' }, 200],
  ['without a status', { org_id: organisationId }, 200],
  ['a redirect', '', 302],
] as const)
  test(`CERT-08 a register that answers ${what} takes nobody’s licence, and is asked again in minutes`, async () => {
    answer(claims())
    await ask()
    answer(body, status)
    const failures: number[] = []
    await ask(later(day), { onFailure: (_error, _organisation, silentMs) => failures.push(silentMs) })
    assert.deepEqual(failures, [day])
    assert.deepEqual(await client(), { status: 'active', licensed_roles: ['PSP_AI', 'PSP_PI'] })
    assert.equal(await ask(later(day + 60_000)), 0)
    answer(claims('Revoked'))
    assert.equal(await ask(later(day + 5 * 60_000)), 1)
    assert.equal((await client()).status, 'withdrawn')
  })

test('CERT-08 a register that is silent is waited for, then an alarm is raised; withdrawn stays withdrawn while it is silent', async () => {
  const lines: string[] = []
  const log = createLog({ level: 'info', name: 'worker' }, { write: (line: string) => lines.push(line) })
  const registry = createMetrics('worker')
  const metrics = createWorkerMetrics(registry)
  const [asking] = licenceLoops({
    ...{ database: world.worker, log, metrics },
    licences: { registers, silentAtMostMs: 3 * day },
    onFault: (error) => assert.fail(String(error)),
  })
  answer(claims('Withdrawn'))
  await asking?.work(noon)
  answer('', 503)
  await asking?.work(later(3 * day))
  assert.match(lines.at(-1) ?? '', /a register does not answer: what it said last holds/)
  await asking?.work(later(3 * day + hour))
  const alarm = JSON.parse(lines.at(-1) ?? '{}')
  assert.deepEqual([alarm.level, alarm.msg, alarm.silentSeconds], [50, 'a register has been silent for too long', 73 * 3_600])
  assert.equal((await client()).status, 'withdrawn')
  assert.match(await registry.metrics(), new RegExp(`bankside_register_silence_seconds\\{process="worker"\\} ${73 * 3_600}`))
  assert.equal(await longestSilenceMs(world.worker, ['another'], later(day)), 0)
})

test('CERT-08 what cannot be ended of a withdrawn third party is told of, and what else it had ends', async () => {
  const [faulty, sound] = [await authorisedWorldOf(world), await authorisedWorldOf(world)]
  const permit = (permission: string) =>
    transact(world.owner, async (tx) => {
      await tx.query(sql.unsafe`set local session_replication_role = replica`)
      const permissions = sql.array([permission], 'text')
      await tx.query(sql.unsafe`update consents.consent set permissions = ${permissions} where consent_id = ${faulty.consent.id}`)
    })
  await permit('NoSuchPermission')
  answer(claims('Revoked'))
  await ask()
  const reported: string[] = []
  const end = () =>
    endWithdrawnAccess(world.worker, { now: later(2 * hour), limit: 100, onFault: (_error, grantId) => reported.push(grantId) })
  assert.ok((await end()) >= 1)
  assert.equal(await end(), 0, 'the round is over, however many there are that cannot be ended')
  assert.deepEqual(reported, [faulty.grantId, faulty.grantId])
  const status = sql.unsafe`select status from consents.consent where consent_id = ${sound.consent.id}`
  assert.equal(await world.owner.oneFirst(status), 'EXPD')
  await permit('ReadBalances')
  assert.equal(await end(), 1)
})

test('CERT-08 whom the bank blocked, it blocks whatever the register says; unblocked, a client waits for its register', async () => {
  const change = (status: 'active' | 'blocked') =>
    transact(world.owner, (tx) => setClientStatus(tx, { clientId: thirdParty, status, actor: 'operator', now: noon }))
  await change('blocked')
  answer(claims('Revoked'))
  await ask()
  assert.equal((await client()).status, 'blocked')
  await change('active')
  assert.equal((await client()).status, 'withdrawn')
  assert.equal(await change('active'), false, 'nobody can talk it in')
  await change('blocked')
  answer(claims())
  await ask(later(day))
  assert.equal((await client()).status, 'blocked')
  await change('active')
  assert.equal((await client()).status, 'active')
})

test('CERT-08 asked on demand; of eight workers at once one asks; an answer that is older than the last changes nothing', async () => {
  answer(claims())
  await ask()
  assert.equal(await transact(world.owner, (tx) => askAgain(tx, thirdParty, later(hour))), 1)
  assert.equal(await transact(world.owner, (tx) => askAgain(tx, 'other-party', later(hour))), 0)
  asked.length = 0
  answer(claims('Revoked'))
  const done = await Promise.all(Array.from({ length: 8 }, () => ask(later(hour))))
  assert.deepEqual([done.reduce((sum, one) => sum + one), asked.length], [1, 1])
  const [entry] = await transact(world.owner, (tx) => listRegisterEntries(tx, thirdParty))
  assert.deepEqual([entry?.answer?.active, entry?.answeredAt], [false, later(hour)])

  await transact(world.owner, (tx) => askAgain(tx, undefined, noon))
  answer(claims())
  await ask(later(hour - 1))
  assert.equal((await client()).status, 'withdrawn')
})

test('CERT-08 a client that is gone stays gone, and nobody is asked about an organisation without a client', async () => {
  await world.owner.query(sql.unsafe`update clients.client set status = 'deleted' where client_id = ${thirdParty}`)
  answer(claims())
  await ask()
  assert.equal((await client()).status, 'deleted')
  await world.owner.query(sql.unsafe`delete from clients.registration`)
  assert.equal(await ask(later(2 * day)), 0)
})

test('a setting that names no register, or one without TLS, is refused', () => {
  assert.deepEqual(registerSettings.parse(undefined), [])
  for (const wrong of ['no', '{}', '[{"issuer":"x"}]', '[{"issuer":"x","uri":"http://x"}]', '[{"issuer":"x","uri":"https://x","y":1}]'])
    assert.equal(registerSettings.safeParse(wrong).success, false, wrong)
})
