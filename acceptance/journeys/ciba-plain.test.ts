/** FAPI-CIBA as a conformance rig plays it: its own clients for the bank's own API, nobody in front of a browser. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { oauthError } from '../rig/oauth-error.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import { answerFor, askElsewhere, pollOnce } from '../third-party/backchannel.ts'

const client = (client_id: string, token_endpoint_auth_method: string) => ({
  client_id,
  profile: 'fapi_ciba',
  token_endpoint_auth_method,
  sender_constraint: 'mtls',
  redirect_uris: [],
  scopes: ['openid', 'accounts:read'],
  first_party: true,
  metadata: { backchannel_token_delivery_mode: 'poll', backchannel_authentication_request_signing_alg: 'PS256' },
})

let rig: Rig
before(async () => {
  rig = await openRig({ clients: [client('rig-one', 'private_key_jwt'), client('rig-two', 'tls_client_auth')] })
})
after(() => rig?.close())

const accounts = () => `${rig.description.audiences.bank_api}/accounts`

test('CIBA-05 CIBA-09 MTLS-03 two clients of a rig: asked, answered, fetched once; the tokens open the bank’s API with their own certificate only', async () => {
  const [one, two] = [await rig.thirdParty('rig-one'), await rig.thirdParty('rig-two')]
  const person = rig.someone()
  for (const [mine, other] of [
    [one, two],
    [two, one],
  ] as const) {
    const asked = await askElsewhere(mine, { scope: 'accounts:read openid', loginHint: person.username, bindingMessage: '1234' })
    assert.equal(await oauthError(pollOnce(mine, asked.auth_req_id)), 'authorization_pending')
    assert.equal(await oauthError(pollOnce(other, asked.auth_req_id)), 'invalid_grant')
    assert.deepEqual(await answerFor(other, asked.auth_req_id, 'allow'), { status: 200, outcome: 'approved' })
    const tokens = await pollOnce(mine, asked.auth_req_id)
    assert.equal(tokens.claims()?.['acr'], 'urn:openbanking:psd2:sca')
    assert.equal(tokens.claims()?.sub.startsWith('cus_'), true)
    const read = await mine.call(tokens.access_token, 'GET', accounts())
    assert.equal(read.status, 200, read.text)
    assert.ok(read.headers.get('x-fapi-interaction-id'))
    assert.equal((await other.call(tokens.access_token, 'GET', accounts())).status, 401)
    assert.equal(await oauthError(pollOnce(mine, asked.auth_req_id)), 'invalid_grant')
  }
})

test('CIBA-13 a rig denies, and asks on: five in a row without a yes are few enough for its plan', async () => {
  const one = await rig.thirdParty('rig-one')
  const person = rig.someone()
  for (let times = 0; times < 3; times++) {
    const asked = await askElsewhere(one, { scope: 'openid accounts:read', loginHint: person.username, bindingMessage: '1234' })
    assert.deepEqual(await answerFor(one, asked.auth_req_id, 'deny'), { status: 200, outcome: 'denied' })
    assert.equal(await oauthError(pollOnce(one, asked.auth_req_id)), 'access_denied')
  }
  const asked = await askElsewhere(one, { scope: 'openid accounts:read', loginHint: person.username, bindingMessage: '1234' })
  assert.equal((await answerFor(one, asked.auth_req_id, 'allow')).outcome, 'approved')
})
