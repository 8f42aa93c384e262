import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import * as openid from 'openid-client'
import { agreePayment, read, shareAccounts } from '../rig/consented.ts'
import { oauthError } from '../rig/oauth-error.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import type { Exchange } from '../third-party/exchange.ts'
import { openThirdParty } from '../third-party/third-party.ts'
import { aisp, lodgeAccountAccess, submitPayment } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

const clients = [
  { clientId: 'tpp-ed25519', requirements: 'FAPI2-CR-02 DPOP-07 FAPI2-CL-07', algorithm: 'EdDSA' },
  { clientId: 'tpp-ms-dpop', requirements: 'FAPI2-MS-01 FAPI2-MS-06 FAPI2-MS-08 FAPI2-MS-09 JARM-04', algorithm: 'ES256' },
  { clientId: 'tpp-ms-mtls', requirements: 'FAPI2-MS-01 FAPI2-MS-08 FAPI2-MS-09 JARM-04', algorithm: 'PS256' },
  { clientId: 'tpp-fapi1-hybrid', requirements: 'FAPI1A-01 FAPI1A-02 FAPI1A-08 FAPI1A-10', algorithm: 'PS256' },
  { clientId: 'tpp-fapi1-jarm', requirements: 'FAPI1A-01 FAPI1A-02 FAPI1A-09 FAPI1A-10 JARM-04', algorithm: 'PS256' },
] as const

for (const { clientId, requirements, algorithm } of clients)
  test(`${requirements} ${clientId} gets a consent, reads the accounts, refreshes, and asks who the customer is`, async () => {
    const consented = await shareAccounts(rig, { clientId })
    const { tokens, thirdParty, consentId } = consented
    assert.equal(decodeProtectedHeader(tokens.id_token ?? '').alg, algorithm)
    assert.equal(tokens.claims()?.['openbanking_intent_id'], consentId)
    const confirmation = decodeJwt(tokens.access_token)['cnf'] as Record<string, string>
    assert.deepEqual(Object.keys(confirmation), [thirdParty.client.sender_constraint === 'dpop' ? 'jkt' : 'x5t#S256'])
    assert.equal((await read(consented, '/accounts')).status, 200)
    const refreshed = await thirdParty.refresh(tokens.refresh_token ?? '')
    assert.equal((await read({ ...consented, tokens: refreshed }, '/accounts')).status, 200)
    assert.equal((await thirdParty.userinfo(tokens)).sub, tokens.claims()?.sub)
  })

for (const clientId of ['tpp-fapi1-hybrid', 'tpp-fapi1-jarm'])
  test(`FAPI1A-05 ${clientId} may push its request object instead`, async () => {
    const thirdParty = await rig.thirdParty(clientId)
    const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
    const started = await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' }, pushed: true })
    assert.ok(started.url.searchParams.has('request_uri') && !started.url.searchParams.has('request'))
    const { callback } = await rig.customer(rig.someone()).authorise(started.url)
    const tokens = await thirdParty.redeem(started, callback ?? assert.fail('no callback'))
    assert.equal((await read({ thirdParty, tokens }, '/accounts')).status, 200)
  })

for (const clientId of ['tpp-ms-mtls', 'tpp-fapi1-hybrid'])
  test(`FAPI1A-13 PIS-01 ${clientId} has a payment agreed to and submits it`, async () => {
    const agreed = await agreePayment(rig, { clientId })
    const answer = await submitPayment(agreed.thirdParty, agreed.tokens.access_token, agreed.consentId, agreed.body)
    assert.equal(answer.status, 201, answer.text)
  })

test('FAPI2-MS-06 FAPI1A-04 ATK-01 the address that the browser is sent to holds the client and the signed request, and nothing else', async () => {
  for (const [clientId, members] of [
    ['tpp-ms-dpop', ['client_id', 'request_uri']],
    ['tpp-fapi1-hybrid', ['client_id', 'request']],
  ] as const) {
    const thirdParty = await rig.thirdParty(clientId)
    const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
    const { url } = await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' } })
    assert.deepEqual([...url.searchParams.keys()].sort(), members)
  }
})

test('FAPI1B-RS-01 FAPI1B-RS-02 FAPI1B-RS-03 FAPI1B-RS-04 FAPI1B-RS-05 FAPI2-CL-02 the resource API answers a FAPI 1.0 client as it must', async () => {
  const consented = await shareAccounts(rig, { clientId: 'tpp-fapi1-hybrid' })
  const { thirdParty, tokens, person } = consented
  const url = aisp(thirdParty, '/accounts')
  const asked = (headers: Record<string, string> = {}) => thirdParty.call(tokens.access_token, 'GET', url, { headers })

  const interaction = 'C770AEF3-6784-41F7-8E0E-FF5F97BDDB3A'
  const answer = await asked({ 'x-fapi-interaction-id': interaction, 'x-fapi-customer-ip-address': '2001:DB8::1893:25c8:1946' })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('x-fapi-interaction-id')?.toLowerCase(), interaction.toLowerCase())
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json(; ?charset=utf-8)?$/i)
  assert.ok(Math.abs(Date.parse(answer.headers.get('date') ?? '') - Date.now()) < 60_000)
  assert.equal((await asked({ 'x-fapi-customer-ip-address': '198.51.100.119' })).status, 200)

  const inQuery = await thirdParty.fetch(`${url}?access_token=${tokens.access_token}`, { method: 'GET' })
  assert.ok([400, 401].includes(inQuery.status))
  const unnamed = await thirdParty.fetch(url, { method: 'GET', headers: { authorization: `Bearer ${tokens.access_token}` } })
  assert.match(unnamed.headers.get('x-fapi-interaction-id') ?? '', /^[0-9a-f-]{36}$/)

  const other = rig.description.customers.find((customer) => customer !== person)?.accounts[0]?.id
  assert.equal((await thirdParty.call(tokens.access_token, 'GET', aisp(thirdParty, `/accounts/${other}`))).status, 403)
  const stolen = await (await rig.thirdParty('tpp-fapi1-jarm')).call(tokens.access_token, 'GET', url)
  assert.equal(stolen.status, 401)
})

test('FAPI2-MS-09 FAPI1A-08 JARM-04 a response that was altered, or is of another request, is not redeemed', async () => {
  for (const [clientId, change] of [
    ['tpp-ms-dpop', alterJarm],
    ['tpp-fapi1-jarm', alterJarm],
    ['tpp-fapi1-hybrid', (url: URL) => alterFragment(url, 'code', 'other')],
    ['tpp-fapi1-hybrid', (url: URL) => alterFragment(url, 'state', 'other')],
    ['tpp-fapi1-hybrid', (url: URL) => alterFragment(url, 'id_token', 'eyJhbGciOiJub25lIn0.e30.')],
  ] as const) {
    const thirdParty = await rig.thirdParty(clientId)
    const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
    const started = await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' } })
    const { callback } = await rig.customer(rig.someone()).authorise(started.url)
    assert.ok(callback)
    const altered = new URL(callback)
    change(altered)
    await assert.rejects(thirdParty.redeem(started, altered))
    await assert.rejects(thirdParty.redeem({ ...started, state: 'another' }, callback))
    assert.ok((await thirdParty.redeem(started, callback)).access_token, 'the true one still is')
  }
})

function alterJarm(url: URL): void {
  const [header, payload = '', signature] = (url.searchParams.get('response') ?? '').split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  const forged = Buffer.from(JSON.stringify({ ...claims, code: 'another' })).toString('base64url')
  url.searchParams.set('response', `${header}.${forged}.${signature}`)
}

function alterFragment(url: URL, name: string, value: string): void {
  const parameters = new URLSearchParams(url.hash.slice(1))
  parameters.set(name, value)
  url.hash = parameters.toString()
}

test('FAPI2-CL-02 FAPI2-CL-04 the third party makes assertions out to the issuer, and sends tokens in the header only', async () => {
  const exchanges: Exchange[] = []
  const thirdParty = await openThirdParty(rig.description, 'tpp-pkjwt-dpop', { trace: (exchange) => void exchanges.push(exchange) })
  assert.equal((await lodgeAccountAccess(thirdParty)).status, 201)
  const asserted = exchanges.flatMap(({ requestBody }) => new URLSearchParams(requestBody).get('client_assertion') ?? [])
  assert.ok(asserted.length > 0)
  for (const assertion of asserted) assert.equal(decodeJwt(assertion).aud, rig.description.issuer)
  const called = exchanges.filter(({ url }) => url.startsWith(rig.description.resource_api))
  assert.ok(called.length > 0)
  for (const { url, requestHeaders, requestBody } of called) {
    assert.match(requestHeaders['authorization'] ?? '', /^DPoP /i)
    assert.ok(!url.includes('access_token') && !requestBody.includes('access_token'))
  }
})

test('FAPI2-MS-11 INT-02 INT-03 FAPI2-MS-13 a resource server of another make introspects with a signed answer; a third party is told nothing', async () => {
  const { tokens, thirdParty, consentId } = await shareAccounts(rig, { clientId: 'tpp-ms-dpop' })
  const server = await openThirdParty(rig.description, 'uk-resource-server', { metadata: { introspection_signed_response_alg: 'PS256' } })
  const told = await openid.tokenIntrospection(server.configuration, tokens.access_token)
  assert.deepEqual([told.active, told.client_id, told['consent_id']], [true, 'tpp-ms-dpop', consentId])
  assert.deepEqual(told.cnf, decodeJwt(tokens.access_token)['cnf'])
  assert.deepEqual(await openid.tokenIntrospection(thirdParty.configuration, tokens.access_token), { active: false })
  await openid.tokenRevocation(thirdParty.configuration, tokens.refresh_token ?? '')
  assert.deepEqual(await openid.tokenIntrospection(server.configuration, tokens.access_token), { active: false })
})

test('FAPI2-MS-01 FAPI1A-01 the same request unsigned is refused', async () => {
  for (const clientId of ['tpp-ms-dpop', 'tpp-fapi1-jarm']) {
    const { configuration, client } = await rig.thirdParty(clientId)
    const parameters = { scope: 'openid accounts', redirect_uri: client.redirect_uris[0] ?? '', state: 's', nonce: 'n' }
    assert.equal(await oauthError(openid.buildAuthorizationUrlWithPAR(configuration, parameters)), 'invalid_request')
  }
})
