import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setClientStatus } from '@bankside/bank/clients/set-client-status'
import { transact } from '@bankside/service-kit/postgres'
import { decodeJwt } from 'jose'
import { authoriseAccounts, refusal } from './testing/authorise.ts'
import { enterCustomer, type TestCustomer } from './testing/bank-fixtures.ts'
import { exchange } from './testing/exchange.ts'
import { callGrant, ownToken, proofFor } from './testing/grants-client.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty
let brightwater: ThirdParty
let app: ThirdParty
const scope = 'openid accounts payments grant_management_query grant_management_revoke'

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn', { metadata: { scope } })
  brightwater = await ThirdParty.register(server, 'brightwater', {
    authentication: 'tls_client_auth',
    constraint: 'mtls',
    metadata: { scope },
  })
  app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
})
after(() => server.stop())

const detail = {
  type: 'account_information',
  permissions: ['ReadAccountsBasic', 'ReadBalances'],
  expirationDateTime: '2090-01-01T00:00:00Z',
}

async function granted(client = acorn) {
  const params = { claims: undefined, authorization_details: JSON.stringify([detail]), grant_management_action: 'create' }
  const { code } = await authoriseAccounts(client, ada, params)
  const { json } = await client.redeem(code)
  return { grantId: String(json['grant_id']), tokens: json, refreshToken: String(json['refresh_token']) }
}

test('GM-10 the metadata say where grants are managed, on both listeners, and how', async () => {
  const { json } = await exchange(`${server.issuer}/.well-known/oauth-authorization-server`, { ca: server.ca })
  assert.equal(json['grant_management_endpoint'], `${server.issuer}/grants`)
  assert.deepEqual(json['grant_management_actions_supported'], ['query', 'revoke', 'create', 'merge', 'replace'])
  assert.equal(json['grant_management_action_required'], false)
  const aliases = json['mtls_endpoint_aliases'] as Record<string, string>
  assert.equal(aliases['grant_management_endpoint'], `${server.mtlsIssuer}/grants`)
  for (const one of ['grant_management_query', 'grant_management_revoke'])
    assert.ok((json['scopes_supported'] as string[]).includes(one), one)
})

test('GM-07 GM-08 a grant is told to its client: scopes with their API, claims, details and times, and no token', async () => {
  const { grantId, tokens } = await granted()
  const answer = await callGrant(acorn, 'GET', grantId)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['cache-control'], 'no-store')
  const { created_at, last_updated_at, ...status } = answer.json
  assert.deepEqual(status, {
    scopes: [{ scope: 'openid accounts', resource: [server.audiences.uk] }],
    claims: [],
    authorization_details: tokens['authorization_details'],
    expires_at: '2090-01-01T00:00:00.000Z',
  })
  for (const time of [created_at, last_updated_at]) assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000)
  for (const name of ['access_token', 'refresh_token', 'id_token']) assert.ok(!answer.text.includes(String(tokens[name])))
})

test('GM-09 a revoked grant is gone, and its refresh token with it; a second time there is nothing to revoke', async () => {
  const { grantId, refreshToken } = await granted()
  const gone = await callGrant(acorn, 'DELETE', grantId)
  assert.deepEqual([gone.status, gone.text], [204, ''])
  assert.equal(refusal(await acorn.refresh(refreshToken)), '400 invalid_grant')
  assert.equal((await callGrant(acorn, 'GET', grantId)).status, 404)
  assert.equal((await callGrant(acorn, 'DELETE', grantId)).status, 404)
})

test('GM-07 MTLS-04 with tokens that are bound to a certificate, through the twin', async () => {
  const { grantId } = await granted(brightwater)
  assert.equal((await callGrant(brightwater, 'GET', grantId)).status, 200)
  const token = await ownToken(brightwater, 'grant_management_query')
  const thief = await server.issueCertificate('thief')
  assert.equal(refusal(await callGrant(brightwater, 'GET', grantId, { token, credential: thief })), '401 invalid_token')
  const { credential: _none, ...bare } = { credential: undefined, headers: { authorization: `Bearer ${token}` } }
  assert.equal((await exchange(`${server.issuer}/grants/${grantId}`, { ca: server.ca, ...bare })).status, 401)
  assert.equal((await callGrant(brightwater, 'DELETE', grantId)).status, 204)
})

test('GM-07 a grant that is unknown, or whose id is none, is not found', async () => {
  for (const id of [`gnt_${'0'.repeat(32)}`, 'x', `con_${'0'.repeat(32)}`]) {
    assert.equal((await callGrant(acorn, 'GET', id)).status, 404)
    assert.equal((await callGrant(acorn, 'DELETE', id)).status, 404)
  }
  assert.equal((await callGrant(acorn, 'GET', `gnt_${'0'.repeat(32)}%00`)).status, 404)
  assert.equal((await exchange(`${server.issuer}/grants`, { ca: server.ca })).status, 404)
  assert.equal((await exchange(`${server.issuer}/grants/x`, { ca: server.ca, method: 'POST', form: {} })).status, 405)
})

test('GM-07 each method needs its own scope: 403', async () => {
  const { grantId } = await granted()
  const [query, revoke] = [await ownToken(acorn, 'grant_management_query'), await ownToken(acorn, 'grant_management_revoke')]
  assert.equal(refusal(await callGrant(acorn, 'GET', grantId, { token: revoke })), '403 insufficient_scope')
  const refused = await callGrant(acorn, 'DELETE', grantId, { token: query })
  assert.equal(refusal(refused), '403 insufficient_scope')
  assert.match(refused.headers['www-authenticate'] ?? '', /error="insufficient_scope", scope="grant_management_revoke"/)
  assert.equal((await callGrant(acorn, 'GET', grantId, { token: query })).status, 200)
})

test('GM-07 no token, another token, or one that somebody else holds: 401', async () => {
  const { grantId, tokens } = await granted()
  const url = `${server.issuer}/grants/${grantId}`
  const get = (headers: Record<string, string>) => exchange(url, { ca: server.ca, headers })
  const bare = await get({})
  assert.deepEqual([bare.status, bare.text], [401, ''])
  assert.match(bare.headers['www-authenticate'] ?? '', /^DPoP algs="[^"]+", Bearer$/)

  const token = await ownToken(acorn, 'grant_management_query')
  const code = async (headers: Record<string, string>) => refusal(await get(headers))
  const dpop = () => proofFor(acorn, 'GET', url, token)
  assert.equal(await code({ authorization: `Bearer ${token}` }), '401 invalid_token', 'DPOP-06 without its proof')
  assert.equal(await code({ authorization: `Bearer ${token}`, dpop: await dpop() }), '401 invalid_token', 'DPOP-06 by another scheme')
  assert.equal(await code({ authorization: `DPoP ${token}` }), '401 invalid_dpop_proof')
  assert.equal(await code({ authorization: `DPoP ${token}x`, dpop: await dpop() }), '401 invalid_token')
  assert.equal(await code({ authorization: `DPoP ${token}`, dpop: await proofFor(acorn, 'DELETE', url, token) }), '401 invalid_dpop_proof')
  assert.equal(
    await code({ authorization: `DPoP ${token}`, dpop: await proofFor(acorn, 'GET', `${url}x`, token) }),
    '401 invalid_dpop_proof',
  )
  assert.equal(await code({ authorization: `DPoP ${token}`, dpop: await proofFor(acorn, 'GET', url, 'other') }), '401 invalid_dpop_proof')
  const thief = await ThirdParty.register(server, 'thief', { metadata: { scope } })
  assert.equal(await code({ authorization: `DPoP ${token}`, dpop: await proofFor(thief, 'GET', url, token) }), '401 invalid_token')
  const once = await dpop()
  assert.equal((await get({ authorization: `DPoP ${token}`, dpop: once })).status, 200)
  assert.equal(await code({ authorization: `DPoP ${token}`, dpop: once }), '401 invalid_dpop_proof', 'DPOP-03 twice')

  for (const other of [tokens['access_token'], await ownToken(acorn, 'accounts'), tokens['id_token']])
    assert.equal(
      refusal(await callGrant(acorn, 'GET', grantId, { token: String(other) })),
      '401 invalid_token',
      'BCP-13 of another audience or kind',
    )
})

test('GM-07 RW-ST-04 a client that was blocked since is not answered', async () => {
  const { grantId } = await granted()
  const token = await ownToken(acorn, 'grant_management_query')
  const set = (status: 'active' | 'blocked') =>
    transact(server.owner, (tx) => setClientStatus(tx, { clientId: 'acorn', status, actor: 'operator', now: new Date() }))
  await set('blocked')
  assert.equal(refusal(await callGrant(acorn, 'GET', grantId, { token })), '401 invalid_token')
  await set('active')
  assert.equal((await callGrant(acorn, 'GET', grantId, { token })).status, 200)
})

test('FAPI2-AS-14 a token for grants is for nothing else, and is for third parties that registered for it', async () => {
  const own = (client: ThirdParty, asked: string) => client.token({ grant_type: 'client_credentials', scope: asked })
  assert.equal(decodeJwt(String((await own(acorn, 'grant_management_query')).json['access_token'])).aud, `${server.issuer}/grants`)
  assert.equal(refusal(await own(acorn, 'grant_management_query accounts')), '400 invalid_scope')
  const simple = await ThirdParty.register(server, 'simple')
  assert.equal(refusal(await own(simple, 'grant_management_query')), '400 invalid_scope')
  assert.equal(refusal(await own(app, 'grant_management_query')), '400 unauthorized_client')
  assert.equal(
    refusal(await acorn.push({ scope: 'openid accounts grant_management_query', authorization_details: JSON.stringify([detail]) })),
    '400 invalid_scope',
  )
})
