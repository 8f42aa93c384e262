import type { KeyObject } from 'node:crypto'
import type { ProofKey, SigningKey } from '../load/signing.ts'

/** A customer who can sign in at the pages of a target. */
export type Customer = { readonly username: string; readonly password: string; readonly totpSecret: string | undefined }

/** A client that authenticates with private_key_jwt and binds its tokens with DPoP. */
export type ProofClient = {
  readonly clientId: string
  readonly redirectUri: string
  readonly key: SigningKey
  readonly proofKey: ProofKey
}

/** A client whose tokens are bound to its certificate. */
export type CertificateClient = { readonly clientId: string; readonly key: string; readonly cert: string; readonly thumbprint: string }

export type Confirmation = { readonly jkt: string } | { readonly 'x5t#S256': string }
export type Reader = { readonly accessToken: string; readonly accountId: string }
export type PaymentToSend = { readonly accessToken: string; readonly body: unknown }

/**
 * One of the two things that are compared. Both answer the same requests; they differ in how what a request needs (a
 * consent, a grant, a token) is put in place before the clock starts.
 */
export type Target = {
  readonly name: string
  readonly issuer: string
  readonly resourceApi: string
  readonly ca: readonly string[]
  /** Its server processes, and its database within the one PostgreSQL server: what the CPU of an operation is read from. */
  readonly pids: readonly number[]
  readonly databaseName: string
  readonly client: ProofClient
  /** The bank's own, on which no customer has to agree, and what it asks for. */
  readonly app: { readonly client: ProofClient; readonly scope: string }
  /** Instead of the one client, where many take turns. */
  readonly clients?: readonly ProofClient[]
  readonly certificateClient: CertificateClient
  readonly customers: readonly Customer[]
  /** A resource server, and access tokens that it may ask about. */
  readonly introspector: Pick<ProofClient, 'clientId' | 'key'>
  readonly introspectionPath: string
  /** Where a flow does not give such as it may ask about. */
  readonly tokensToAskAbout?: (count: number) => Promise<readonly string[]>
  /** More clients like the one there is, each with keys of its own. */
  readonly registerClients: (count: number) => Promise<readonly ProofClient[]>
  /** Account-access consents that wait for a customer. */
  readonly lodgeConsents: (count: number) => Promise<readonly string[]>
  readonly authoriseReaders: (count: number, clientId: string, confirmation: Confirmation) => Promise<readonly Reader[]>
  readonly authorisePayments: (count: number, clientId: string, confirmation: Confirmation) => Promise<readonly PaymentToSend[]>
  /** Waits until every payment that was accepted is posted. */
  readonly settlePayments: () => Promise<void>
  /** Waits until nothing that a round left behind still runs, so that it does not run in the other side's round. */
  readonly comeToRest: () => Promise<void>
  /** @throws when money was lost or made, or when not exactly `payments` payments were posted since the start. */
  readonly checkBooks: (payments: number) => Promise<void>
}

/** So many accounts pay each other, on either side: how often two payments meet on one account must not differ. */
export const payingAccounts = 48

export type AccessTokenKey = { readonly algorithm: 'ES256' | 'PS256'; readonly kid: string; readonly privateKey: KeyObject }
