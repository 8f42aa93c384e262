import { decodeJwt } from 'jose'
import { lodgeAccounts, type TestCustomer } from './bank-fixtures.ts'
import { CustomerAtBrowser, fragmentOf, responseOf } from './browser.ts'
import { CibaClient, intent } from './ciba-client.ts'
import { openLatest, signedInAtDashboard } from './dashboard-customer.ts'
import type { Answer } from './exchange.ts'
import type { TestServer } from './test-server.ts'
import { intentClaim, ThirdParty } from './third-party.ts'

/** The profiles whose answers come back with the browser. */
export const redirectProfiles = ['fapi2_sp', 'fapi2_ms', 'fapi1_adv_hybrid', 'fapi1_adv_jarm'] as const
export type RedirectProfile = (typeof redirectProfiles)[number]
export type EveryProfile = Readonly<Record<RedirectProfile, ThirdParty>> & { readonly fapi_ciba: CibaClient }

/** A client of each profile, all bound by certificate, named after it. */
export async function registerEveryProfile(server: TestServer, suffix = 'one'): Promise<EveryProfile> {
  const [sp, ms, hybrid, jarm] = await Promise.all(
    redirectProfiles.map((profile) => ThirdParty.register(server, nameOf(profile, suffix), { profile, constraint: 'mtls' })),
  )
  const ciba = await CibaClient.register(server, nameOf('fapi_ciba', suffix))
  return { fapi2_sp: sp, fapi2_ms: ms, fapi1_adv_hybrid: hybrid, fapi1_adv_jarm: jarm, fapi_ciba: ciba } as EveryProfile
}

const nameOf = (profile: string, suffix: string) => `${profile.replaceAll('_', '-')}-${suffix}`

/** Of clients of every profile, those that a browser comes back to. */
export const withRedirects = (clients: EveryProfile): readonly ThirdParty[] => redirectProfiles.map((profile) => clients[profile])
export const allOf = (clients: EveryProfile): readonly ThirdParty[] => [...withRedirects(clients), clients.fapi_ciba.thirdParty]

/** What came back in the redirect, by whichever way the client's profile has it come. */
export function parametersIn(answer: Answer): Record<string, string> {
  const plain = { ...responseOf(answer), ...fragmentOf(answer) }
  return plain['response'] === undefined ? plain : { ...plain, ...(decodeJwt(plain['response']) as Record<string, string>) }
}

/** The whole way to a code, with what the test says in the request. */
export async function codeFor(client: ThirdParty, customer: TestCustomer, params: Record<string, string | undefined> = {}) {
  const consentId = await lodgeAccounts(client.server, client.clientId)
  const answer = await client.push({ claims: intentClaim(consentId), ...params })
  if (answer.status !== 201) throw new Error(`not pushed: ${answer.status} ${answer.text}`)
  const at = new CustomerAtBrowser(client.server, customer)
  const page = await at.signIn(await at.open(client, String(answer.json['request_uri'])))
  const response = parametersIn(await at.agree(page, customer.accounts.slice(0, 1)))
  return { consentId, response, code: response['code'] ?? '', at }
}

export type Tokens = { readonly access: string; readonly refresh: string; readonly idToken: string; readonly consentId: string }

/** What a client of any profile is given for an account access. */
export async function tokensFor(client: ThirdParty | CibaClient, customer: TestCustomer): Promise<Tokens> {
  const { consentId, answer } = client instanceof CibaClient ? await byBackchannel(client, customer) : await byRedirect(client, customer)
  if (answer.status !== 200) throw new Error(`no tokens: ${answer.status} ${answer.text}`)
  const { access_token, refresh_token, id_token } = answer.json
  return { access: String(access_token), refresh: String(refresh_token), idToken: String(id_token), consentId }
}

async function byRedirect(client: ThirdParty, customer: TestCustomer) {
  const { consentId, code } = await codeFor(client, customer)
  return { consentId, answer: await client.redeem(code) }
}

async function byBackchannel(client: CibaClient, customer: TestCustomer) {
  const consentId = await lodgeAccounts(client.thirdParty.server, client.clientId)
  const id = await client.asked({ login_hint: customer.username, ...intent(consentId) })
  const at = await signedInAtDashboard(client.thirdParty.server, customer)
  await at.agree(await openLatest(at), customer.accounts.slice(0, 1))
  return { consentId, answer: await client.poll(id) }
}
