import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { shareAccounts } from '../rig/consented.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import * as forgery from '../third-party/forgery.ts'
import { httpsFetch } from '../third-party/https-fetch.ts'
import type { ThirdParty } from '../third-party/third-party.ts'
import { lodgeAccountAccess } from '../third-party/uk-open-banking.ts'

let rig: Rig
let thirdParty: ThirdParty
before(async () => {
  rig = await openRig()
  thirdParty = await rig.thirdParty('tpp-pkjwt-mtls')
})
after(() => rig?.close())

const browser = () => ({ fetch: httpsFetch({ caFile: rig.description.ca_file }) })
const authorize = (parameters: Record<string, string>) =>
  forgery.get(browser(), `${rig.description.issuer}/auth?${new URLSearchParams(parameters)}`, { accept: 'text/html' })

async function request(change: Record<string, string | undefined> = {}): Promise<Record<string, string>> {
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  const whole: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: thirdParty.client.client_id,
    scope: 'openid accounts',
    redirect_uri: thirdParty.client.redirect_uris[0] ?? '',
    code_challenge: forgery.pkce().codeChallenge,
    code_challenge_method: 'S256',
    state: 'state',
    nonce: 'nonce',
    claims: JSON.stringify({ id_token: { openbanking_intent_id: { value: consentId, essential: true } } }),
    ...change,
  }
  return Object.fromEntries(Object.entries(whole).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

async function push(change: Record<string, string | undefined> = {}) {
  const form = { ...(await request(change)), ...(await forgery.clientAuthenticationForm(thirdParty)) }
  return await forgery.postForm(thirdParty, forgery.endpointOf(thirdParty, 'pushed_authorization_request_endpoint'), form)
}

test('FAPI2-AZ-03 an authorization request that was not pushed starts nothing', async () => {
  const answer = await authorize(await request())
  assert.ok(
    answer.status === 400 || /error=invalid_request/.test(answer.headers.get('location') ?? ''),
    `${answer.status} ${answer.headers.get('location')}`,
  )
})

test('FAPI2-AZ-03 RAR-06 what stands beside a request_uri is ignored or refused', async () => {
  const pushed = await push()
  assert.equal(pushed.status, 201, pushed.text)
  const parameters = {
    client_id: thirdParty.client.client_id,
    request_uri: pushed.textAt('request_uri'),
    redirect_uri: 'https://evil.example/cb',
    scope: 'openid payments',
  }
  const answer = await authorize(parameters)
  assert.ok(!(answer.headers.get('location') ?? '').includes('evil.example'))
})

test('FAPI2-AZ-04 a request pushed without authentication, or with that of another client, is refused', async () => {
  const endpoint = forgery.endpointOf(thirdParty, 'pushed_authorization_request_endpoint')
  const without = await forgery.postForm(thirdParty, endpoint, await request())
  assert.deepEqual([without.status, without.at('error')], [401, 'invalid_client'])
  const assertion = await forgery.handmadeAssertion(await rig.thirdParty('tpp-pkjwt-dpop'))
  const form = { ...(await request()), ...(await forgery.clientAuthenticationForm(thirdParty, assertion)) }
  assert.ok([400, 401].includes((await forgery.postForm(thirdParty, endpoint, form)).status))
})

const refusals: [string, Record<string, string | undefined>][] = [
  ['FAPI2-AZ-01 response_type code id_token', { response_type: 'code id_token' }],
  ['FAPI2-AZ-01 response_type token', { response_type: 'token' }],
  ['FAPI2-AZ-05 no code_challenge', { code_challenge: undefined, code_challenge_method: undefined }],
  ['FAPI2-AZ-05 code_challenge_method plain', { code_challenge_method: 'plain' }],
  ['FAPI2-AZ-06 no redirect_uri', { redirect_uri: undefined }],
  ['BCP-01 FAPI2-AS-07 a redirect_uri below the registered one', { redirect_uri: 'https://localhost/callback/evil' }],
  ['RAR-01 an unknown type of authorization detail', { authorization_details: JSON.stringify([{ type: 'everything' }]) }],
  [
    'RAR-01 a detail with a member too many',
    { authorization_details: JSON.stringify([{ type: 'openbanking_consent', consent_id: 'con_x', more: true }]) },
  ],
  [
    'RW-TOK-07 a consent that does not exist',
    { claims: JSON.stringify({ id_token: { openbanking_intent_id: { value: `con_${'0'.repeat(32)}`, essential: true } } }) },
  ],
]
for (const [what, change] of refusals)
  test(`${what}: refused at the pushed request`, async () => {
    const answer = await push(change)
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`)
    assert.match(
      answer.textAt('error'),
      /^(invalid_request|unsupported_response_type|invalid_authorization_details|unauthorized_client|invalid_redirect_uri)$/,
    )
  })

test('FAPI2-AS-02 FAPI2-AS-03 the password grant, and a client without authentication, get nothing', async () => {
  const endpoint = forgery.endpointOf(thirdParty, 'token_endpoint')
  const password = { ...(await forgery.clientAuthenticationForm(thirdParty)), grant_type: 'password', username: 'x', password: 'y' }
  assert.equal((await forgery.postForm(thirdParty, endpoint, password)).at('error'), 'unsupported_grant_type')
  const bare = await forgery.postForm(thirdParty, endpoint, {
    client_id: thirdParty.client.client_id,
    grant_type: 'client_credentials',
    scope: 'accounts',
  })
  assert.deepEqual([bare.status, bare.at('error')], [401, 'invalid_client'])
})

test('MTLS-07 FAPI2-AS-06 tls_client_auth with the certificate of another client, or none, is refused', async () => {
  const other = await rig.thirdParty('tpp-tls-mtls')
  const form = { client_id: 'tpp-tls-dpop', grant_type: 'client_credentials', scope: 'accounts' }
  for (const fetch of [other.fetch, browser().fetch]) {
    const answer = await forgery.postForm({ fetch }, forgery.endpointOf(other, 'token_endpoint'), form)
    assert.deepEqual([answer.status, answer.at('error')], [401, 'invalid_client'])
  }
})

test('FAPI2-AS-04 DPOP-04 a client whose tokens are bound to a key gets none without a proof', async () => {
  const dpop = await rig.thirdParty('tpp-pkjwt-dpop')
  const form = { ...(await forgery.clientAuthenticationForm(dpop)), grant_type: 'client_credentials', scope: 'accounts' }
  const answer = await forgery.postForm(dpop, forgery.endpointOf(dpop, 'token_endpoint'), form)
  assert.equal(answer.status, 400)
  assert.match(answer.textAt('error'), /invalid_request|invalid_dpop_proof/)
})

test('FAPI2-NET-10 the authorization endpoint lets no script of another origin read it', async () => {
  const answer = await forgery.get(browser(), `${rig.description.issuer}/auth?client_id=x`, {
    origin: 'https://evil.example',
    accept: 'text/html',
  })
  assert.equal(answer.headers.get('access-control-allow-origin'), null)
})

test('ATK-01 ATK-03 FAPI2-NET-08 FAPI2-AZ-10 FAPI2-AZ-11 BCP-09 BCP-14 BCP-17 on the whole way the headers hold: 303, HSTS, no framing, no referrer, no store', async () => {
  const statuses: number[] = []
  const consented = await shareAccounts(rig, { clientId: 'tpp-pkjwt-mtls' })
  assert.deepEqual([...consented.started.url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
  const { started } = {
    started: await thirdParty.start({ scope: 'openid accounts', intent: { consentId: consented.consentId, namedBy: 'claims' } }),
  }
  let url = started.url.href
  for (let hop = 0; hop < 4; hop++) {
    const answer = await forgery.get(browser(), url, { accept: 'text/html' })
    statuses.push(answer.status)
    assert.match(answer.headers.get('strict-transport-security') ?? '', /max-age=(3153[6-9]|[4-9]\d{7}|\d{9,})/)
    assert.match(answer.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/)
    assert.equal(answer.headers.get('x-frame-options')?.toLowerCase(), 'deny')
    assert.equal(answer.headers.get('referrer-policy'), 'no-referrer')
    assert.match(answer.headers.get('cache-control') ?? '', /no-store/)
    assert.doesNotMatch(answer.headers.get('content-security-policy') ?? '', /unsafe-inline|unsafe-eval/)
    const location = answer.headers.get('location')
    if (location === null) break
    url = new URL(location, url).href
  }
  assert.ok(
    statuses.slice(0, -1).every((status) => status === 303),
    statuses.join(),
  )
})
