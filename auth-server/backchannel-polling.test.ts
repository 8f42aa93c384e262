/** From the question to the token: what a client is told when it asks, and how often. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CibaClient, cibaGrant, intent } from './testing/ciba-client.ts'
import { openLatest, signedInAtDashboard } from './testing/dashboard-customer.ts'
import { type Answer, exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'

const racers = 8
let server: TestServer
let acorn: CibaClient
let birch: CibaClient
let tls: CibaClient

before(async () => {
  server = await startTestServer()
  acorn = await CibaClient.register(server, 'acorn')
  birch = await CibaClient.register(server, 'birch')
  tls = await CibaClient.register(server, 'cedar', { authentication: 'tls_client_auth' })
})
after(() => server.stop())

let customers = 0
const somebody = () => enterCustomer(server, `somebody-${++customers}`)

type Asked = { readonly id: string; readonly bob: TestCustomer; readonly consentId: string }

async function asked(claims: Record<string, unknown> = {}, client = acorn): Promise<Asked> {
  const bob = await somebody()
  const consentId = await lodgeAccounts(server, client.clientId)
  return { id: await client.asked({ login_hint: bob.username, ...intent(consentId), ...claims }), bob, consentId }
}

async function agreed({ bob }: Asked, accounts = bob.accounts.slice(0, 1)): Promise<Answer> {
  const at = await signedInAtDashboard(server, bob)
  return at.agree(await openLatest(at), accounts)
}

const expire = (consentId: string) =>
  server.owner.query(sql.unsafe`
    update oidc.backchannel_authentication_request set expires_at = now() - interval '1 second' where consent_id = ${consentId}`)

const claimsOf = (jwt: unknown) =>
  JSON.parse(Buffer.from(String(jwt).split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>

test('CIBA-09 pending, and slow_down for who does not wait: the interval grows by five seconds each time', async () => {
  const { id, consentId } = await asked()
  assert.equal(refusal(await acorn.poll(id)), '400 authorization_pending')
  assert.equal(refusal(await acorn.poll(id)), '400 slow_down')
  const polledAgo = (seconds: number) =>
    server.owner.query(sql.unsafe`
      update oidc.backchannel_authentication_request set polled_at = now() - make_interval(secs => ${seconds}::int) where consent_id = ${consentId}`)
  await polledAgo(6)
  assert.equal(refusal(await acorn.poll(id)), '400 slow_down', 'ten seconds by now')
  await polledAgo(15)
  assert.equal(refusal(await acorn.poll(id)), '400 authorization_pending')
  for (let times = 0; times < 20; times++) assert.match(refusal(await acorn.poll(id)), /^400 (authorization_pending|slow_down)$/)
  const interval = await server.owner.oneFirst(sql.unsafe`
    select interval_seconds from oidc.backchannel_authentication_request where consent_id = ${consentId}`)
  assert.equal(interval, 60, 'and never beyond a minute')
})

test('CIBA-09 of eight polls at once one is in time', async () => {
  const { id } = await asked()
  const answers = await Promise.all(Array.from({ length: racers }, () => acorn.poll(id)))
  assert.equal(answers.filter((answer) => refusal(answer) === '400 authorization_pending').length, 1)
  assert.equal(answers.filter((answer) => refusal(answer) === '400 slow_down').length, racers - 1)
})

test('CIBA-05 CIBA-09 RW-TOK-01 the tokens: bound, with consent, grant, assurance and time, as in the code flow', async () => {
  const before = Math.floor(Date.now() / 1000)
  const question = await asked({ acr_values: 'urn:openbanking:psd2:sca' })
  await agreed(question)
  const tokens = await acorn.poll(question.id)
  assert.equal(tokens.status, 200, tokens.text)
  assert.match(tokens.headers['cache-control'] ?? '', /no-store/)
  const { access_token, id_token, token_type, expires_in, scope, refresh_token } = tokens.json
  assert.deepEqual([token_type, expires_in, scope], ['Bearer', 300, 'openid accounts'])
  const access = claimsOf(access_token)
  const { grant_id } = await readConsent(server, question.consentId)
  assert.deepEqual(
    [access['consent_id'], access['grant_id'], access['acr'], access['aud']],
    [question.consentId, grant_id, 'urn:openbanking:psd2:sca', server.audiences.uk],
  )
  assert.ok((access['cnf'] as Record<string, unknown>)['x5t#S256'])
  const identity = claimsOf(id_token)
  assert.deepEqual(
    [identity['iss'], identity['aud'], identity['acr'], identity['amr'], identity['openbanking_intent_id']],
    [server.issuer, 'acorn', 'urn:openbanking:psd2:sca', ['pwd', 'otp'], question.consentId],
  )
  assert.ok(Number(identity['auth_time']) >= before)
  assert.equal(identity['sub'], access['sub'])
  assert.match(String(identity['sub']), /^psu:/)
  assert.equal((await acorn.thirdParty.refresh(String(refresh_token))).status, 200)
  assert.equal(refusal(await birch.thirdParty.refresh(String(refresh_token))), '400 invalid_grant', 'another client’s refresh token')
})

test('CIBA-09 RAR-03 who asks with details is told details', async () => {
  const bob = await somebody()
  const consentId = await lodgeAccounts(server, 'acorn')
  const id = await acorn.asked({
    login_hint: bob.username,
    authorization_details: [{ type: 'openbanking_consent', consent_id: consentId }],
  })
  await agreed({ id, bob, consentId })
  assert.deepEqual((await acorn.poll(id)).json['authorization_details'], [{ type: 'openbanking_consent', consent_id: consentId }])
})

test('CIBA-09 GM-06 what was asked by its terms is claimed by the first tokens, and stays', async () => {
  const bob = await somebody()
  const detail = { type: 'account_information', permissions: ['ReadAccountsBasic'] }
  const id = await acorn.asked({ login_hint: bob.username, authorization_details: [detail] })
  await agreed({ id, bob, consentId: '' })
  const claimBefore = () =>
    server.owner.oneFirst(sql.unsafe`select claim_before is not null from oidc.grant where customer_id = ${bob.customerId}`)
  assert.equal(await claimBefore(), true)
  assert.equal((await acorn.poll(id)).status, 200)
  assert.equal(await claimBefore(), false)
})

test('CIBA-09 a payment’s tokens: no refresh token', async () => {
  const bob = await somebody()
  const consentId = await lodgePayment(server, 'acorn')
  const id = await acorn.asked({ login_hint: bob.username, scope: 'openid payments', ...intent(consentId) })
  const at = await signedInAtDashboard(server, bob)
  await at.agree(await at.enterCode(await openLatest(at)), bob.accounts.slice(0, 1))
  const tokens = await acorn.poll(id)
  assert.equal(tokens.status, 200, tokens.text)
  assert.equal(tokens.json['refresh_token'], undefined)
  assert.equal(claimsOf(tokens.json['access_token'])['consent_id'], consentId)
})

test('CIBA-09 used once: again is invalid_grant, of eight at once exactly one is given tokens, and its consent stands', async () => {
  for (let round = 0; round < 3; round++) {
    const question = await asked()
    await agreed(question)
    const answers = await Promise.all(Array.from({ length: racers }, () => acorn.poll(question.id)))
    const won = answers.filter(({ status }) => status === 200)
    assert.equal(won.length, 1)
    assert.equal(answers.filter((answer) => refusal(answer) === '400 invalid_grant').length, racers - 1)
    assert.equal(refusal(await acorn.poll(question.id)), '400 invalid_grant')
    assert.equal((await acorn.thirdParty.refresh(String(won[0]?.json['refresh_token']))).status, 200, 'asking again takes nothing back')
  }
})

test('CIBA-09 denied is access_denied, and may be told more than once', async () => {
  const question = await asked()
  const at = await signedInAtDashboard(server, question.bob)
  const said = await at.submit(await openLatest(at), { action: 'cancel' })
  assert.match(said.text, /You said no/)
  for (let times = 0; times < 3; times++) assert.equal(refusal(await acorn.poll(question.id)), '400 access_denied')
  assert.deepEqual(
    [(await readConsent(server, question.consentId)).status, (await readConsent(server, question.consentId)).status_reason_code],
    ['RJCT', 'U036'],
  )
})

test('CIBA-09 after its time: expired_token, however often, and nothing can be agreed to any more', async () => {
  const question = await asked({ requested_expiry: 1 })
  const at = await signedInAtDashboard(server, question.bob)
  const page = await openLatest(at)
  // The one wait of this file: the library goes by the clock.
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  const late = await at.agree(page, question.bob.accounts.slice(0, 1))
  assert.match(late.text, /run out of time/)
  for (let times = 0; times < 2; times++) assert.equal(refusal(await acorn.poll(question.id)), '400 expired_token')
  assert.equal((await readConsent(server, question.consentId)).status, 'AWAU')
  assert.match((await at.browser.get('/connected-accounts/requests')).text, /Nothing is waiting/)
})

test('CIBA-09 what was agreed to at the last moment can still be fetched', async () => {
  const question = await asked({ requested_expiry: 2 })
  await agreed(question)
  await new Promise((resolve) => setTimeout(resolve, 2_100))
  assert.equal((await acorn.poll(question.id)).status, 200)
})

test('CIBA-09 a wrong id, another client, another client’s id or certificate: invalid_grant or invalid_client', async () => {
  const question = await asked()
  for (const id of ['made-up', '', 'x'.repeat(2_000), `${question.id}x`, question.id.slice(1), '\u0000'])
    assert.match(refusal(await acorn.poll(id)), /^400 invalid_(grant|request)$/, id.slice(0, 20))
  assert.equal(refusal(await birch.poll(question.id)), '400 invalid_grant')
  await agreed(question)
  assert.equal(refusal(await birch.poll(question.id)), '400 invalid_grant')
  assert.equal(refusal(await tls.poll(question.id)), '400 invalid_grant')
  assert.equal(refusal(await tls.poll(question.id, { client_id: 'acorn' })), '401 invalid_client')
  const missing = { client_assertion: undefined, client_assertion_type: undefined, client_id: 'acorn' }
  assert.match(refusal(await acorn.poll(question.id, missing)), /^40[01] invalid_(client|request)$/)
  assert.equal((await acorn.poll(question.id)).status, 200, 'none of it used it up')
})

test('CIBA-09 MTLS-03 without a certificate there is no token, and the answer is not used up', async () => {
  const question = await asked()
  await agreed(question)
  const form = { ...(await acorn.thirdParty.authentication()), grant_type: cibaGrant, auth_req_id: question.id }
  assert.match(refusal(await exchange(`${server.issuer}/token`, { ca: server.ca, form })), /^40[01] invalid_(request|grant|client)$/)
  assert.equal((await acorn.poll(question.id)).status, 200)
})

test('CIBA-01 OIDC-13 at the token endpoint the issuer and the token endpoint are an assertion’s audience, RS256 is not its algorithm', async () => {
  for (const aud of [server.issuer, `${server.issuer}/token`, `${server.mtlsIssuer}/token`]) {
    const question = await asked()
    await agreed(question)
    assert.equal((await acorn.poll(question.id, { client_assertion: await acorn.thirdParty.assertion({ aud }) })).status, 200, aud)
  }
})

test('CIBA-09 DB-05 access that the customer stops before it was fetched gives no token', async () => {
  const question = await asked()
  await agreed(question)
  const { grant_id } = await readConsent(server, question.consentId)
  await server.owner.query(sql.unsafe`select consents.end_grant(${grant_id}, now())`)
  assert.equal(refusal(await acorn.poll(question.id)), '400 invalid_grant')
})

test('CIBA-09 a client that is blocked meanwhile is told nothing', async () => {
  const elder = await CibaClient.register(server, 'elder')
  const question = await asked({}, elder)
  await agreed(question)
  await server.owner.query(sql.unsafe`update clients.client set status = 'blocked' where client_id = 'elder'`)
  assert.equal(refusal(await elder.poll(question.id)), '401 invalid_client')
})

test('CIBA-09 yes, no, polls and the end race each other: one outcome, and the consent and the tokens agree with it', async () => {
  for (let round = 0; round < 4; round++) {
    const question = await asked()
    const [one, other] = [await signedInAtDashboard(server, question.bob), await signedInAtDashboard(server, question.bob)]
    const [yes, no] = [await openLatest(one), await openLatest(other)]
    const decided = [one.agree(yes, question.bob.accounts.slice(0, 1)), other.submit(no, { action: 'cancel' })]
    const polls = [acorn.poll(question.id), acorn.poll(question.id)]
    if (round % 2 === 1) await expire(question.consentId)
    for (const { status: answered } of await Promise.all(decided)) assert.ok(answered < 500)
    const row = await server.owner.one(sql.type(outcomeRow)`
      select outcome, consumed_at is not null as fetched from oidc.backchannel_authentication_request where consent_id = ${question.consentId}`)
    const { status } = await readConsent(server, question.consentId)
    const early = (await Promise.all(polls)).filter((answer) => answer.status === 200).length
    const late = await acorn.poll(question.id)
    if (row.outcome === 'approved') {
      assert.equal(status, 'AUTH')
      assert.equal(early + (late.status === 200 ? 1 : 0), 1)
    } else {
      assert.equal(status, row.outcome === 'denied' ? 'RJCT' : 'AWAU')
      assert.equal(early, 0)
      assert.match(refusal(late), /^400 (access_denied|expired_token|authorization_pending|slow_down)$/)
    }
  }
})

const outcomeRow = z.object({ outcome: z.string().nullable(), fetched: z.boolean() })

test('FAPI2-AZ-09 whoever has the database role of this server makes no yes of a no, and nothing fresh again', async () => {
  const question = await asked()
  await agreed(question)
  await acorn.poll(question.id)
  const forged = [
    sql.unsafe`update oidc.backchannel_authentication_request set consumed_at = null where consent_id = ${question.consentId}`,
    sql.unsafe`update oidc.backchannel_authentication_request set outcome = 'denied', grant_id = null where consent_id = ${question.consentId}`,
  ]
  for (const statement of forged)
    await assert.rejects(server.owner.query(statement), (error) => violatedConstraint(error) === 'decided_stays_decided')
  const open = await asked()
  await server.owner.query(sql.unsafe`
    update oidc.backchannel_authentication_request set outcome = 'approved', decided_at = now(), grant_id = 'made-up',
      answer = (select answer from oidc.backchannel_authentication_request where consent_id = ${question.consentId})
    where consent_id = ${open.consentId}`)
  assert.equal(refusal(await acorn.poll(open.id)), '400 invalid_grant', 'the answer to another question')
})
