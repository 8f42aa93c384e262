import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { pushed, refusal } from '../testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from '../testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser } from '../testing/browser.ts'
import { type EveryProfile, parametersIn, registerEveryProfile, withRedirects } from '../testing/every-profile.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim, redirectUri, ThirdParty } from '../testing/third-party.ts'

/** RFC 9700 sections 4.1, 4.11: where answers go, and which request they are answers to. */
let server: TestServer
let ada: TestCustomer
let every: EveryProfile
let hybrid: ThirdParty
let signer: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  every = await registerEveryProfile(server)
  hybrid = every.fapi1_adv_hybrid
  signer = every.fapi2_ms
})
after(() => server.stop())

const claimsOf = async (thirdParty: ThirdParty) => intentClaim(await lodgeAccounts(server, thirdParty.clientId))

const elsewhere = [
  'https://evil.example/callback?kept=yes',
  'https://third-party.example.evil.example/callback?kept=yes',
  'https://third-party.example@evil.example/callback?kept=yes',
  'https://evil.example\\@third-party.example/callback?kept=yes',
  'https://third-party.example/callback',
  `${redirectUri}&more=1`,
  `${redirectUri}#`,
  'https://third-party.example/callback/../open?to=https://evil.example',
  'https://THIRD-PARTY.example/callback?kept=yes',
  'https://third-party.example:8443/callback?kept=yes',
  'http://third-party.example/callback?kept=yes',
  'https://third-party.example/%63allback?kept=yes',
  'javascript:alert(1)',
  'data:text/html,x',
  '//evil.example',
  ' https://third-party.example/callback?kept=yes',
]

test('redirect confusion: a redirect URI that is not the registered one to the letter is refused where it is pushed, of any profile (BCP-01 FAPI2-AS-07)', async () => {
  for (const client of withRedirects(every))
    for (const redirect_uri of elsewhere) {
      const answer = await client.push({ claims: await claimsOf(client), redirect_uri })
      assert.match(refusal(answer), /^400 invalid_(redirect_uri|request|request_object)$/, `${client.clientId} ${redirect_uri}`)
    }
})

test('open redirect: a signed request by value with another redirect URI ends on a page of ours (BCP-02 FAPI1A-04)', async () => {
  for (const client of [every.fapi1_adv_hybrid, every.fapi1_adv_jarm])
    for (const redirect_uri of [...elsewhere, undefined]) {
      const request = await client.requestObject({ claims: await claimsOf(client), redirect_uri })
      const answer = await new Browser(server).get(`/auth?${new URLSearchParams({ client_id: client.clientId, request })}`)
      assert.deepEqual([answer.status, answer.headers['location']], [400, undefined], String(redirect_uri))
    }
})

test('open redirect: no parameter of any page leads anywhere else (BCP-02 ATK-03)', async () => {
  const away = 'https://evil.example/'
  const names = ['redirect_uri', 'post_logout_redirect_uri', 'return_to', 'returnTo', 'next', 'url', 'continue', 'target', 'client_uri']
  const query = new URLSearchParams(names.map((name): [string, string] => [name, away]))
  const paths = ['/auth', '/session/end', '/connected-accounts', '/connected-accounts/sign-in', '/connected-accounts/requests']
  for (const path of [
    ...paths,
    '/auth/xxxxxxxxxxxxxxxxxxxxx',
    '/interaction/xxxxxxxxxxxxxxxxxxxxx',
    '/',
    '//evil.example',
    '/\\evil.example',
  ]) {
    const { status, headers, text } = await new Browser(server).get(`${server.issuer}${path}?${query}`)
    const location = headers['location'] ?? '/'
    assert.ok(/^\/(?![/\\])/.test(location) || new URL(location).origin === server.issuer, `${path} leads to ${location}`)
    assert.doesNotMatch(text, /(href|action|src)="[^"]*evil/, path)
    assert.ok(status < 500, path)
  }
})

test('redirect confusion: a redirect URI that a client gave up while a customer was on the pages is not gone to (BCP-01 UKDCR-16)', async () => {
  for (const profile of ['fapi2_sp', 'fapi1_adv_jarm'] as const) {
    const moving = await ThirdParty.register(server, `moving-${profile.replaceAll('_', '-')}`, { profile, constraint: 'mtls' })
    const at = new CustomerAtBrowser(server, ada)
    const page = await at.signIn(await at.open(moving, await pushed(moving, { claims: await claimsOf(moving) })))
    await server.owner.query(sql.unsafe`
      update clients.client set metadata = jsonb_set(metadata, '{redirect_uris}', '["https://third-party.example/new"]'), updated_at = now()
      where client_id = ${moving.clientId}`)
    const answer = await at.agree(page, ada.accounts.slice(0, 1))
    assert.deepEqual([answer.status, answer.headers['location']], [400, undefined], profile)
  }
})

test('PAR confusion: what one client pushes with another’s client_id, in the form or in the signed request, is refused (PAR-07 JAR-02)', async () => {
  for (const client of withRedirects(every))
    for (const victim of withRedirects(every).filter((other) => other !== client)) {
      const claims = await claimsOf(victim)
      const label = `${client.clientId} as ${victim.clientId}`
      assert.match(
        refusal(await client.push({ claims, client_id: victim.clientId })),
        /^40[01] invalid_(client|request|request_object)$/,
        label,
      )
      const form = {
        client_id: victim.clientId,
        request: await client.requestObject({ claims, client_id: victim.clientId, iss: victim.clientId }),
      }
      assert.match(refusal(await client.post('/par', form)), /^40[01] invalid_(client|request|request_object)$/, label)
    }
})

test('request replay: a request by value that is opened again asks again, and what the earlier yes gave ends with the later one (FAPI1A-04 CX-18)', async () => {
  for (const client of [every.fapi1_adv_hybrid, every.fapi1_adv_jarm]) {
    const request = await client.requestObject({ claims: await claimsOf(client) })
    const open = async () => {
      const at = new CustomerAtBrowser(server, ada)
      return { at, page: await at.signIn(await at.openWith({ client_id: client.clientId, request })) }
    }
    const [first, second] = [await open(), await open()]
    const { code: earlier = '' } = parametersIn(await first.at.agree(first.page, ada.accounts.slice(0, 1)))
    const { code: later = '' } = parametersIn(await second.at.agree(second.page, ada.accounts.slice(1, 2)))
    assert.equal(refusal(await client.redeem(earlier)), '400 invalid_grant')
    const { json } = await client.redeem(later)
    assert.equal((await client.userinfo(String(json['access_token']))).status, 200)
  }
})

test('request confusion: what one client pushed is opened by no other, whatever stands beside it (PAR-06 JAR-02)', async () => {
  const request_uri = await pushed(signer, { claims: await claimsOf(signer) })
  const request = await hybrid.requestObject({ claims: await claimsOf(hybrid) })
  for (const query of [
    { client_id: hybrid.clientId, request_uri },
    { client_id: hybrid.clientId, request_uri, request },
    { client_id: every.fapi2_sp.clientId, request_uri, response_mode: 'query' },
    { client_id: signer.clientId, request },
  ]) {
    const answer = await new CustomerAtBrowser(server, ada).openWith(query as Record<string, string>)
    assert.deepEqual([answer.status, answer.headers['location']], [400, undefined], JSON.stringify(Object.keys(query)))
  }
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(signer, request_uri))
  assert.ok(parametersIn(await customer.agree(page, ada.accounts.slice(0, 1)))['response'])
})
