import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as openid from 'openid-client'
import { openRig, type Rig } from '../rig/rig.ts'
import { httpsFetch } from '../third-party/https-fetch.ts'
import { openThirdParty, type StartedAuthorization, type ThirdParty } from '../third-party/third-party.ts'
import { lodgeAccountAccess } from '../third-party/uk-open-banking.ts'

/** The other side of the same attacks: what the sample third party refuses to accept. */
let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

async function comeBack(): Promise<{ thirdParty: ThirdParty; started: StartedAuthorization; callback: URL }> {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  const started = await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' } })
  const { callback } = await rig.customer(rig.someone()).authorise(started.url)
  assert.ok(callback)
  return { thirdParty, started, callback }
}

const changes: [string, (callback: URL) => void][] = [
  ['BCP-04 FAPI2-CL-11 an answer of another issuer', (callback) => callback.searchParams.set('iss', 'https://evil.example')],
  ['BCP-04 FAPI2-CL-11 an answer without an issuer', (callback) => callback.searchParams.delete('iss')],
  ['FAPI2-CL-09 an answer with another state', (callback) => callback.searchParams.set('state', 'another')],
  ['FAPI2-CL-09 an answer without state', (callback) => callback.searchParams.delete('state')],
]
for (const [what, change] of changes)
  test(`${what} is not redeemed`, async () => {
    const { thirdParty, started, callback } = await comeBack()
    const forged = new URL(callback)
    change(forged)
    await assert.rejects(thirdParty.redeem(started, forged))
    assert.ok((await thirdParty.redeem(started, callback)).access_token, 'the true one still is')
  })

test('FAPI2-CL-11 OIDC-01 an ID token with another nonce is refused', async () => {
  const { thirdParty, started, callback } = await comeBack()
  await assert.rejects(thirdParty.redeem({ ...started, nonce: 'another' }, callback))
})

test('FAPI2-CL-08 metadata that name another issuer than the one asked are refused', async () => {
  const fetch = httpsFetch({ caFile: rig.description.ca_file })
  const asked = new URL(rig.description.mtls_issuer)
  await assert.rejects(openid.discovery(asked, 'tpp-pkjwt-dpop', {}, undefined, { [openid.customFetch]: fetch as openid.CustomFetch }))
})

test('FAPI2-NET-05 FAPI2-CL-08 a server that the sandbox’s authority did not certify is not talked to', async () => {
  const sandbox = { ...rig.description, ca_file: rig.description.clients[0]?.cert_file ?? '' }
  await assert.rejects(openThirdParty(sandbox, 'tpp-pkjwt-dpop'), ({ cause }: Error) => /unable to verify/.test(String(cause)))
})
