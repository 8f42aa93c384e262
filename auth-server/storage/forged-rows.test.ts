/** Somebody has the database role of this process, and none of its keys. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openSession } from '@bankside/bank/customers/session'
import { type Database, openDatabase, sql, sqlState, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { openPrepared } from '@bankside/service-kit/prepared'
import { authoriseAccounts, authorisedTokens, pushed, refusal } from '../testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from '../testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser } from '../testing/browser.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim, random, ThirdParty } from '../testing/third-party.ts'
import { handleHash } from './handle-hash.ts'

let server: TestServer
let role: Database
let ada: TestCustomer
let eve: TestCustomer
let acorn: ThirdParty

before(async () => {
  server = await startTestServer()
  role = await openDatabase(server.authServerUrl)
  ada = await enterCustomer(server, 'ada')
  eve = await enterCustomer(server, 'eve')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(async () => {
  await role.end()
  await server.stop()
})

const stored = z.object({ payload: z.string(), grant_id: z.string() })
const hashOf = (handle: string) => sql.binary(handleHash(handle))
const codeRow = (code: string) =>
  role.one(sql.type(stored)`select payload, grant_id from oidc.authorization_code where id_hash = ${hashOf(code)}`)
const insertCode = (code: string, payload: string, grantId: string) =>
  role.query(sql.unsafe`insert into oidc.authorization_code (id_hash, grant_id, payload, expires_at)
    values (${hashOf(code)}, ${grantId}, ${payload}, now() + interval '1 minute')`)
const jsonOf = (payload: string) => JSON.parse(payload.slice(payload.indexOf('{'))) as Record<string, unknown>
const isLogged = () => server.logged.some((line) => line.includes('not written by this server'))

test('a code made up in the table is none: neither bare, nor under the seal of another, nor the row of another code', async () => {
  const { code } = await authoriseAccounts(acorn, ada)
  const { payload, grant_id } = await codeRow(code)
  const seal = payload.slice(0, payload.indexOf('{'))
  const wider = JSON.stringify({ ...jsonOf(payload), scope: 'openid accounts payments' })
  for (const forged of [wider, seal + wider, payload, JSON.stringify(jsonOf(payload))]) {
    const handle = random() + random()
    await insertCode(handle, forged, grant_id)
    assert.equal(refusal(await acorn.redeem(handle)), '400 invalid_grant')
  }
  assert.ok(isLogged())
  assert.equal((await acorn.redeem(code)).status, 200, 'the one that was given is as good as before')
})

test('a grant that a customer gave cannot be made longer, nor given to another', async () => {
  const { code, tokens } = await authorisedTokens(acorn, ada)
  const { grant_id } = await codeRow(code)
  const { payload } = await role.one(sql.type(stored.pick({ payload: true }))`select payload from oidc.grant where grant_id = ${grant_id}`)
  const changed = (change: object) => payload.slice(0, payload.indexOf('{')) + JSON.stringify({ ...jsonOf(payload), ...change })
  const update = (text: string) => role.query(sql.unsafe`update oidc.grant set payload = ${text} where grant_id = ${grant_id}`)
  for (const change of [{ exp: 4_000_000_000 }, { accountId: eve.customerId }]) {
    await update(changed(change))
    assert.equal(refusal(await acorn.refresh(String(tokens.json['refresh_token']))), '400 invalid_grant')
  }
  await update(payload)
  assert.equal((await acorn.refresh(String(tokens.json['refresh_token']))).status, 200)
})

test('a refresh token made of another one, or of more, is none', async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const refreshToken = String(tokens.json['refresh_token'])
  const handle = random() + random()
  await role.query(sql.unsafe`insert into oidc.refresh_token (id_hash, grant_id, payload, expires_at)
    select ${hashOf(handle)}, grant_id, payload, expires_at from oidc.refresh_token where id_hash = ${hashOf(refreshToken)}`)
  assert.equal(refusal(await acorn.refresh(handle)), '400 invalid_grant')
  assert.equal((await acorn.refresh(refreshToken)).status, 200)
})

test('a session whose customer was exchanged in the table signs nobody in', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  const open = async () => customer.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))
  assert.match((await open()).text, /Choose|Which accounts|account/i)
  await role.query(sql.unsafe`update oidc.session set payload = replace(payload, ${ada.customerId}, ${eve.customerId})`)
  assert.match((await open()).text, /name="password"/)
})

test('a journey does not go on by another session that was given the uid of the one it began with', async () => {
  const begun = (await authoriseAccounts(acorn, eve)).customer
  const page = await begun.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))
  const uidOf = () => role.any(sql.type(z.object({ uid: z.string() }))`select uid from oidc.session`)
  const earlier = new Set((await uidOf()).map(({ uid }) => uid))
  await authoriseAccounts(acorn, eve)
  const other = (await uidOf()).find(({ uid }) => !earlier.has(uid))?.uid ?? ''
  const { uid } = jsonOf(
    (
      await role.one(sql.type(stored.pick({ payload: true }))`
    select payload from oidc.session where payload like ${`%${eve.customerId}%`} and uid <> ${other} order by expires_at desc limit 1`)
    ).payload,
  )
  await begun.submit(await begun.browser.get('/session/end'), { action: 'confirm' })
  await role.query(sql.unsafe`delete from oidc.session where uid = ${String(uid)}`)
  await role.query(sql.unsafe`update oidc.session set uid = ${String(uid)} where uid = ${other}`)
  assert.equal((await begun.agree(page, eve.accounts.slice(0, 1))).status, 400)
})

test('a journey that was set to signed in by hand shows no accounts and gives no code', async () => {
  const mallory = new CustomerAtBrowser(server, eve)
  const page = await mallory.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))
  assert.match(page.text, /name="password"/)
  const state = { step: 'choose_accounts', customerId: ada.customerId, authenticatedAt: Math.floor(Date.now() / 1000) }
  await role.query(sql.unsafe`update oidc.journey set state = state || ${JSON.stringify(state)}::jsonb where expires_at > now()`)
  const answer = await mallory.submit(page, { action: 'confirm', account: ada.accounts.slice(0, 1) })
  assert.deepEqual([answer.status, answer.headers['location']], [400, undefined])
  assert.doesNotMatch(answer.text, /Everyday/)
})

test('a session of the dashboard that was written by hand, or changed hands in the table, shows nothing', async () => {
  const browser = new Browser(server)
  const secret = await transact(role, (tx) => openSession(tx, { customerId: ada.customerId, now: new Date() }))
  for (const value of [secret, `${secret}.`, `${secret}.${createHash('sha256').update(secret).digest('base64url')}`]) {
    browser.put({ name: '__Host-bankside_dashboard', value, path: '/' })
    const answer = await browser.get('/connected-accounts')
    assert.deepEqual([answer.status, answer.headers['location']], [303, '/connected-accounts/sign-in'])
  }
})

test('FAPI2-AZ-09 FAPI2-AZ-15 what was used stays used, and what was taken back stays so: this role cannot make it fresh', async () => {
  const { code } = await authorisedTokens(acorn, ada)
  await acorn.redeem(code)
  const asWritten = openPrepared(server.authServerUrl, { maxConnections: 1 })
  const attempts = {
    used_stays_used: [
      'update oidc.authorization_code set consumed_at = null',
      'update oidc.pushed_authorization_request set consumed_at = null',
      'update oidc.authorization_code set consumed_at = now() where consumed_at is not null',
    ],
    revoked_stays_revoked: ['update oidc.grant set revoked_at = null', 'update oidc.grant set revoked_at = now()'],
    denied: [
      'delete from oidc.authorization_code',
      'delete from oidc.pushed_authorization_request',
      'delete from oidc.grant',
      'delete from oidc.used_identifier',
      'update oidc.used_identifier set expires_at = now()',
      'update oidc.grant set customer_id = customer_id',
      'update oidc.grant set client_id = client_id',
      'update oidc.grant set grant_id = grant_id',
      'truncate oidc.used_identifier',
      'alter table oidc.grant disable trigger all',
    ],
  }
  for (const [refused, statements] of Object.entries(attempts))
    for (const statement of statements) {
      const error = await asWritten.query(undefined, statement).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      assert.equal(refused === 'denied' ? sqlState(error) : violatedConstraint(error), refused === 'denied' ? '42501' : refused, statement)
    }
  await asWritten.end()
})
