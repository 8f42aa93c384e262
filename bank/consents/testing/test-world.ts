import { randomBytes } from 'node:crypto'
import { type Database, openDatabase, sql, type Transaction, transact } from '@bankside/service-kit/postgres'
import { type AccessDecision, type AccessRequest, decideAccess, type TokenClaims } from '../../access/decide-access.ts'
import { readStanding } from '../../access/standing.ts'
import { answerSecondFactor } from '../../customers/answer-second-factor.ts'
import { createCustomer } from '../../customers/create-customer.ts'
import { hashPassword } from '../../customers/passwords.ts'
import { startSecondFactor } from '../../customers/start-second-factor.ts'
import { newTotpSecret, totpCode } from '../../customers/totp.ts'
import type { AccountId, CustomerId } from '../../ids.ts'
import { gbp, later, noon, openTestBank } from '../../payments/testing/test-bank.ts'
import { type AuthorisationOrder, authoriseConsent } from '../authorise-consent.ts'
import type { Consent } from '../consent.ts'
import { type AccountAccessRequest, lodgeAccountAccessConsent } from '../lodge-account-access-consent.ts'
import { type DomesticPaymentRequest, lodgeDomesticPaymentConsent } from '../lodge-domestic-payment-consent.ts'

export { gbp, later, noon }
export const thirdParty = 'third-party'
export const otherParty = 'other-party'
export const app = 'bank-app'
export const password = 'Correct-Horse-Battery-9'
export const minuteMs = 60_000
export const dayMs = 24 * 60 * minuteMs

export type TestCustomer = { readonly customerId: CustomerId; readonly username: string; readonly totpSecret: string }
export type World = Awaited<ReturnType<typeof openWorld>>

/** A bank with people who can sign in, and every process connected under its own role. */
export async function openWorld() {
  const bank = await openTestBank()
  const authServer = await openDatabase(bank.urls.authServerUrl, { maxConnections: 10 })
  const dataKey = randomBytes(32)
  const passwordHash = await hashPassword(password)
  await bank.owner.query(sql.unsafe`
    insert into clients.client
    values (${app}, 'fapi2_sp', 'Bankside app', true, '{}', 'active', ${sql.timestamp(noon)}, ${sql.timestamp(noon)})`)

  const world = { ...bank, authServer, dataKey, asAuthServer, asResourceApi }
  function asAuthServer<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
    return transact(authServer, work)
  }
  function asResourceApi<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
    return transact(bank.resourceApi, work)
  }
  let people = 0
  return {
    ...world,
    person: async (): Promise<TestCustomer> => {
      const username = `person-${++people}`
      const totpSecret = newTotpSecret()
      const identity = { fullName: 'Ann Example', email: `${username}@example.test`, phone: '+447700900123' }
      const customerId = await transact(bank.owner, (tx) =>
        createCustomer(tx, { username, passwordHash, totpSecret, ...identity, dataKey, now: noon }),
      )
      return { customerId, username, totpSecret }
    },
    lodge: (asked: Partial<AccountAccessRequest> = {}) =>
      asResourceApi((tx) =>
        lodgeAccountAccessConsent(tx, { clientId: thirdParty, request: { Data: {} }, permissions: allOfIt, now: noon, ...asked }),
      ),
    lodgePayment: (asked: Partial<DomesticPaymentRequest> = {}) =>
      asResourceApi((tx) => lodgeDomesticPaymentConsent(tx, { ...aPayment, ...asked })),
    grant: (customerId: CustomerId, clientId = thirdParty) => newGrant(world, customerId, clientId),
    answered: (customer: TestCustomer, consent: Consent, now = noon) => answered(world, customer, consent, now),
    authorise: (consent: Consent, order: Pick<AuthorisationOrder, 'customerId' | 'accountIds' | 'grantId'> & Partial<AuthorisationOrder>) =>
      asAuthServer((tx) =>
        authoriseConsent(tx, { consentId: consent.id, clientId: consent.clientId, evidence: () => ({}), now: noon, ...order }),
      ),
    access: (token: Partial<TokenClaims>, request: AccessRequest): Promise<AccessDecision> =>
      asResourceApi(async (tx) => {
        const claims = { ...bareToken, ...token }
        return decideAccess(await readStanding(tx, claims), { ...request, token: claims })
      }),
    close: async () => {
      await authServer.end()
      await bank.close()
    },
  }
}

export const allOfIt = [
  'ReadAccountsDetail',
  'ReadBalances',
  'ReadTransactionsDetail',
  'ReadTransactionsCredits',
  'ReadTransactionsDebits',
] as const

export const bareToken: TokenClaims = {
  clientId: thirdParty,
  scopes: new Set(['openid', 'accounts', 'payments']),
  grantId: undefined,
  consentId: undefined,
  acr: 'urn:openbanking:psd2:sca',
  authTime: noon.getTime() / 1000,
}

export const acme = { name: 'ACME Inc', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000012345678' }
const aPayment: DomesticPaymentRequest = {
  clientId: thirdParty,
  request: { Data: {}, Risk: {} },
  amount: gbp(1000),
  creditor: acme,
  now: noon,
}

type Connected = {
  readonly owner: Database
  readonly dataKey: Uint8Array
  asAuthServer<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result>
}
let grants = 0

async function newGrant({ owner }: Pick<Connected, 'owner'>, customerId: CustomerId, clientId: string): Promise<string> {
  const grantId = `grant-${++grants}`
  await owner.query(sql.unsafe`
    insert into oidc.grant (grant_id, client_id, customer_id, payload, created_at, expires_at)
    values (${grantId}, ${clientId}, ${customerId}, '{}', ${sql.timestamp(noon)}, ${sql.timestamp(later(365 * dayMs))})`)
  return grantId
}

/** A challenge for a consent that the customer has answered with the code their authenticator shows. Each needs a step of its own. */
async function answered({ asAuthServer, dataKey }: Connected, { customerId, totpSecret }: TestCustomer, consent: Consent, now: Date) {
  const challengeId = await asAuthServer((tx) => startSecondFactor(tx, { customerId, consent, now }))
  const code = totpCode(totpSecret, now)
  const result = await asAuthServer((tx) => answerSecondFactor(tx, { challengeId, customerId, code, dataKey, now }))
  if (result !== 'accepted') throw new Error(`the second factor was ${result}`)
  return challengeId
}

/** A customer with funded accounts and an authorised account access consent. */
export async function authorisedWorldOf(world: World, accounts = 1, asked: Partial<AccountAccessRequest> = {}) {
  const customer = await world.person()
  const { customerId } = customer
  const accountIds: AccountId[] = []
  for (let n = 0; n < accounts; n++) accountIds.push(await world.newAccount({ customerId, funds: 100_000n }))
  const consent = await world.lodge(asked)
  const grantId = await world.grant(customerId)
  await world.authorise(consent, { customerId, accountIds, grantId })
  const token: Partial<TokenClaims> = { grantId, consentId: consent.id }
  return { customer, customerId, accountIds, consent, grantId, token }
}
