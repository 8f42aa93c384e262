/** The same server with its short-lived artifacts in Redis. What races is in ../races.test.ts and ../process-races.test.ts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql, transact } from '@bankside/service-kit/postgres'
import { untilWaitingForLocks } from '@bankside/service-kit/test-lock-waits'
import { startTestRedis, type TestRedis, withoutRedis } from '@bankside/service-kit/test-redis'
import { Redis } from 'ioredis'
import { authoriseAccounts, authorisedTokens, pushed, refusal } from '../testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from '../testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from '../testing/browser.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { firstPartyScopes, intentClaim, ThirdParty } from '../testing/third-party.ts'

const skip = withoutRedis
const cc = { grant_type: 'client_credentials', scope: 'accounts' }

let redis: TestRedis
let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty

before(async () => {
  if (skip) return
  redis = await startTestRedis()
  server = await startTestServer({ settings: { REDIS_URL: redis.url } })
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(async () => {
  await server?.stop()
  await redis?.stop()
})

/** As the operator of Redis, who may do everything, reads it. */
async function asOperator<Result>(work: (client: Redis) => Promise<Result>): Promise<Result> {
  const client = new Redis(redis.operatorUrl)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

const countIn = async (table: string) =>
  Number(await server.owner.oneFirst(sql.unsafe`select count(*)::int from ${sql.identifier(['oidc', table])}`))

test('BCP-06 sessions, interactions, requests and codes are in Redis, hashed, sealed and with an end; what lasts is in PostgreSQL', {
  skip,
}, async () => {
  const authorised = await authorisedTokens(acorn, ada)
  assert.equal(authorised.tokens.status, 200)
  for (const table of ['session', 'interaction', 'pushed_authorization_request', 'authorization_code'])
    assert.equal(await countIn(table), 0, table)
  for (const table of ['grant', 'refresh_token', 'used_identifier']) assert.ok((await countIn(table)) > 0, table)
  const cookie = authorised.customer.browser.cookie('__Host-bankside_session')?.value ?? ''
  const handles = [authorised.code, authorised.requestUri, authorised.requestUri.split(':').at(-1) ?? '', cookie]
  await asOperator(async (client) => {
    const keys = await client.keys('*')
    assert.ok(keys.length >= 4, keys.join(' '))
    for (const key of keys) {
      assert.match(key, /^bankside:/)
      assert.ok((await client.pttl(key)) > 0, `${key} has an end`)
      const value = (await client.type(key)) === 'hash' ? JSON.stringify(await client.hgetall(key)) : ''
      for (const handle of handles) assert.ok(handle.length > 20 && !`${key}${value}`.includes(handle), `${key} holds a handle`)
    }
  })
})

test('FAPI2-AZ-09 a code used twice is refused, and what the first use gave is dead, over Redis', { skip }, async () => {
  const { code, tokens } = await authorisedTokens(acorn, ada)
  assert.equal(refusal(await acorn.redeem(code)), '400 invalid_grant')
  assert.equal(refusal(await acorn.refresh(String(tokens.json['refresh_token']))), '400 invalid_grant')
})

test('FAPI2-AZ-15 a request_uri leads to one yes, over Redis', { skip }, async () => {
  const { requestUri } = await authoriseAccounts(acorn, ada)
  const again = await new CustomerAtBrowser(server, ada).open(acorn, requestUri)
  assert.match(again.headers['location'] ?? again.text, /invalid_request_uri|used before/)
})

test('REV-01 a code ends with its grant, over Redis', { skip }, async () => {
  const first = await authorisedTokens(acorn, ada)
  const { code } = await authoriseAccounts(acorn, ada)
  await server.owner.query(sql.unsafe`update oidc.grant set revoked_at = now() where revoked_at is null`)
  assert.equal(refusal(await acorn.redeem(code)), '400 invalid_grant')
  assert.equal(refusal(await acorn.refresh(String(first.tokens.json['refresh_token']))), '400 invalid_grant')
})

test('a row that somebody wrote into Redis, or copied, is none', { skip }, async () => {
  const { code } = await authoriseAccounts(acorn, ada)
  const forged = await asOperator(async (client) => {
    const row = (await client.keys('bankside:authorization_code:*')).find((key) => !key.includes(':grant:')) ?? ''
    const { handleHash } = await import('./handle-hash.ts')
    const handle = 'made-up-made-up-made-up-made-up-made-up-mad'
    await client.copy(row, `bankside:authorization_code:${handleHash(handle).toString('base64url')}`)
    return handle
  })
  assert.equal(refusal(await acorn.redeem(forged)), '400 invalid_grant')
  assert.ok(server.logged.some((line) => line.includes('not written by this server')))
  assert.equal((await acorn.redeem(code)).status, 200)
})

test('while Redis is down: 503 with Retry-After, for clients and browsers; used is used, nothing is allowed for want of an answer', {
  skip,
}, async () => {
  const { code, customer } = await authoriseAccounts(acorn, ada)
  const used = await authorisedTokens(acorn, ada)
  const request = { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }
  const requestUri = await pushed(acorn, request)
  const client_assertion = await acorn.assertion()
  assert.equal((await acorn.token({ ...cc, client_assertion })).status, 200)
  await redis.kill()
  try {
    for (const answer of [await acorn.redeem(code), await acorn.redeem(used.code), await acorn.push(request)]) {
      assert.equal(refusal(answer), '503 temporarily_unavailable')
      assert.match(answer.headers['retry-after'] ?? '', /^[1-9]\d*$/)
      assert.doesNotMatch(answer.text, /redis|ECONN|127\.0\.0\.1/i)
    }
    const page = await customer.open(acorn, requestUri)
    assert.deepEqual([page.status, page.headers['location']], [503, undefined])
    assert.match(page.headers['retry-after'] ?? '', /^[1-9]\d*$/)
    assert.equal(refusal(await acorn.token({ ...cc, client_assertion })), '401 invalid_client', 'identifiers are remembered elsewhere')
    assert.equal((await acorn.refresh(String(used.tokens.json['refresh_token']))).status, 200, 'a refresh needs no Redis')
  } finally {
    await redis.restart()
  }
  const wanted = (answer: Awaited<ReturnType<ThirdParty['redeem']>>) => answer.status !== 503
  const eventually = async (ask: () => ReturnType<ThirdParty['redeem']>) => {
    let answer = await ask()
    for (let times = 0; !wanted(answer) && times < 200; times++) {
      await sleep(50)
      answer = await ask()
    }
    return answer
  }
  assert.equal((await eventually(() => acorn.redeem(code))).status, 200)
  assert.equal(refusal(await acorn.redeem(used.code)), '400 invalid_grant')
  assert.match((await customer.open(acorn, requestUri)).text, /Share account information/, 'the session is there as it was')
})

test('LOGOUT-04 what is answered while its session ends is not answered, and the session stays ended', { skip }, async () => {
  const app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
  const { customer: at, tokens } = await authorisedTokens(acorn, ada)
  const tab = at.beside()
  const authorize = async (params: Record<string, string> = {}) =>
    `/auth?${new URLSearchParams({ client_id: 'bank-app', request_uri: await pushed(app, { scope: firstPartyScopes, ...params }) })}`
  const address = await authorize()
  const [answering] = await transact(server.owner, async (tx) => {
    await tx.query(sql.unsafe`lock table oidc.grant in exclusive mode`)
    const answering = tab.browser.get(address)
    await untilWaitingForLocks(server.owner, 1)
    await at.browser.get(`/session/end?${new URLSearchParams({ id_token_hint: String(tokens.json['id_token']) })}`)
    return [answering] as const
  })
  const { code, error } = responseOf(await answering)
  assert.deepEqual([code, error], [undefined, 'invalid_request'])
  assert.equal(responseOf(await tab.browser.get(await authorize({ prompt: 'none' })))['error'], 'login_required')
})

test('LOGOUT-04 BCP-06 a session that got another handle, and gave more, while the customer signs out ends all the same, and what it gave', {
  skip,
}, async () => {
  const app = await ThirdParty.register(server, 'bank-desk', { firstParty: true })
  const { customer: at, tokens } = await authorisedTokens(acorn, ada)
  const tab = at.beside()
  const authorize = async (params: Record<string, string> = {}) =>
    tab.browser.get(
      `/auth?${new URLSearchParams({ client_id: 'bank-desk', request_uri: await pushed(app, { scope: firstPartyScopes, ...params }) })}`,
    )
  const consentId = await lodgeAccounts(server, 'acorn')
  const choose = await tab.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))
  const [ending, code] = await transact(server.owner, async (tx) => {
    await tx.query(sql.unsafe`lock table customers.session in exclusive mode`)
    const ending = at.browser.get(`/session/end?${new URLSearchParams({ id_token_hint: String(tokens.json['id_token']) })}`)
    await untilWaitingForLocks(server.owner, 1)
    const { code = '' } = responseOf(await authorize())
    assert.ok(responseOf(await tab.agree(choose, ada.accounts.slice(0, 1)))['code'])
    return [ending, code] as const
  })
  assert.notEqual(code, '')
  await ending
  assert.equal(responseOf(await authorize({ prompt: 'none' }))['error'], 'login_required')
  assert.equal(refusal(await app.redeem(code)), '400 invalid_grant')
})
