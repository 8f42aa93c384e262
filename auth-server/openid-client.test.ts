import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as client from 'openid-client'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser } from './testing/browser.ts'
import { exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

/** The library takes the query off the address it comes back to. */
const redirectUri = 'https://third-party.example/callback'
let server: TestServer
let ada: TestCustomer

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
})
after(() => server.stop())

/** `fetch` with this test's authority and, where there is one, the client's certificate. */
const fetchAs =
  (thirdParty: ThirdParty | undefined): client.CustomFetch =>
  async (url, { method, headers, body }) => {
    const credential = url.startsWith(server.mtlsIssuer) ? thirdParty?.credential : undefined
    const answer = await exchange(url, {
      ca: server.ca,
      method,
      headers,
      ...(body != null && { body: String(body) }),
      ...(credential && { credential }),
    })
    const plain = Object.entries(answer.headers).filter((header): header is [string, string] => header[1] !== undefined)
    return new Response(answer.text, { status: answer.status, headers: plain })
  }

for (const [authentication, constraint] of [
  ['private_key_jwt', 'dpop'],
  ['private_key_jwt', 'mtls'],
  ['tls_client_auth', 'dpop'],
  ['tls_client_auth', 'mtls'],
] as const)
  test(`FAPI2-CL-01 FAPI2-CL-06 FAPI2-CL-11 ISS-02 openid-client with ${authentication} and ${constraint} gets, refreshes and revokes tokens`, async () => {
    const thirdParty = await ThirdParty.register(server, `lib-${authentication === 'tls_client_auth' ? 'tls' : 'jwt'}-${constraint}`, {
      authentication,
      constraint,
      metadata: { redirect_uris: [redirectUri] },
    })
    const how =
      authentication === 'tls_client_auth' ? client.TlsClientAuth() : client.PrivateKeyJwt({ key: thirdParty.signingKey, kid: 'first' })
    const metadata = { use_mtls_endpoint_aliases: thirdParty.usesCertificate, id_token_signed_response_alg: 'ES256' }
    const config = await client.discovery(new URL(server.issuer), thirdParty.clientId, metadata, how, {
      [client.customFetch]: fetchAs(thirdParty),
    })
    const DPoP = constraint === 'dpop' ? client.getDPoPHandle(config, thirdParty.proofKey) : undefined
    const options = DPoP === undefined ? {} : { DPoP }

    const [pkceCodeVerifier, expectedState, expectedNonce] = [client.randomPKCECodeVerifier(), client.randomState(), client.randomNonce()]
    const parameters = {
      redirect_uri: redirectUri,
      scope: 'openid accounts',
      state: expectedState,
      nonce: expectedNonce,
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      claims: intentClaim(await lodgeAccounts(server, thirdParty.clientId)),
    }
    const address = await client.buildAuthorizationUrlWithPAR(config, parameters, options)
    assert.deepEqual([...address.searchParams.keys()].sort(), ['client_id', 'request_uri'])

    const customer = new CustomerAtBrowser(server, ada)
    const choose = await customer.signIn(await customer.browser.follow(await customer.browser.get(address.href)))
    const back = await customer.agree(choose, ada.accounts.slice(0, 1))
    const current = new URL(back.headers['location'] ?? '')
    const tokens = await client.authorizationCodeGrant(
      config,
      current,
      { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true },
      undefined,
      options,
    )
    assert.equal(tokens.claims()?.['acr'], 'urn:openbanking:psd2:sca')
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, options)
    assert.equal(refreshed.refresh_token, tokens.refresh_token)
    await client.tokenRevocation(config, tokens.refresh_token ?? '')
    await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, options), { error: 'invalid_grant' })
  })
