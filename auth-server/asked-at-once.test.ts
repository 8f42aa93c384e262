import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql, transact } from '@bankside/service-kit/postgres'
import { untilWaitingForLocks, waitingForLocks } from '@bankside/service-kit/test-lock-waits'
import { authorisedTokens, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

/** What a request needs of the database is asked for at once where it can be: and it counts for what it turns out to be. */
let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty
let ukApi: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  await ThirdParty.register(server, 'birch')
  ukApi = await ThirdParty.register(server, 'uk-api', { profile: 'resource_server', metadata: { audience: server.audiences.uk } })
})
after(() => server.stop())

test('a pushed request waits for its client and its consent at once', async () => {
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const details = JSON.stringify([{ type: 'openbanking_consent', consent_id: await lodgeAccounts(server, 'acorn') }])
  for (const named of [{ claims }, { authorization_details: details }]) {
    const pushing = await transact(server.owner, async (tx) => {
      await tx.query(sql.unsafe`lock clients.client, consents.consent in access exclusive mode`)
      const answer = acorn.push(named)
      await untilWaitingForLocks(server.owner, 2)
      return { answer }
    })
    assert.equal((await pushing.answer).status, 201)
  }
})

test('the consent that counts is the one that the request means, not the first that is in it', async () => {
  const [own, another] = [await lodgeAccounts(server, 'acorn'), await lodgeAccounts(server, 'birch')]
  const meaning = (meant: string, beside: string) =>
    acorn.push({ claims: JSON.stringify({ userinfo: { openbanking_intent_id: { value: beside } }, ...JSON.parse(intentClaim(meant)) }) })
  const alone = await acorn.push({ claims: intentClaim(another) })
  assert.equal(refusal(alone), '400 invalid_request')
  const refused = await meaning(another, own)
  assert.deepEqual([refused.status, refused.json], [alone.status, alone.json])
  assert.equal((await meaning(own, another)).status, 201)
})

test('a consent that was found is of no use to who is not its client, nor to one that does not show who it is', async () => {
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const { client_assertion: stale = '' } = await acorn.authentication()
  assert.equal(refusal(await acorn.push({ claims, client_assertion: `${stale.slice(0, -8)}AAAAAAAA` })), '401 invalid_client')
  assert.equal((await acorn.push({ claims, client_assertion: stale })).status, 201)
  assert.equal(refusal(await acorn.push({ claims, client_assertion: stale })), '401 invalid_client')
})

test('for a client that there cannot be, nothing is asked for', async () => {
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const nobody = { client_id: 'no such client', client_assertion: undefined, client_assertion_type: undefined }
  await transact(server.owner, async (tx) => {
    await tx.query(sql.unsafe`lock clients.client, consents.consent in access exclusive mode`)
    assert.equal(refusal(await acorn.push({ claims, ...nobody })), '401 invalid_client')
    // Long enough for a question to be there, were there one.
    await sleep(100)
    assert.equal(await waitingForLocks(server.owner), 0)
  })
})

test('who asks about a token waits for their assertion to be used up and for the token at once', async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const token = String(tokens.json['access_token'])
  const asking = await transact(server.owner, async (tx) => {
    await tx.query(sql.unsafe`lock oidc.used_identifier in exclusive mode`)
    await tx.query(sql.unsafe`lock oidc.grant in access exclusive mode`)
    const answer = ukApi.post('/introspection', { token })
    // The identifier; how the token stands; its grant, with its client.
    await untilWaitingForLocks(server.owner, 3)
    return { answer }
  })
  const { status, json } = await asking.answer
  assert.deepEqual([status, json['active']], [200, true])
  const { client_assertion: used = '' } = await ukApi.authentication()
  const again = () => ukApi.post('/introspection', { token, client_assertion: used })
  assert.deepEqual([(await again()).json['active'], refusal(await again())], [true, '401 invalid_client'])
})
