import { randomUUID } from 'node:crypto'
import { authentication } from '../load/client-credentials.ts'
import { type Connection, formatRequest, openConnection } from '../load/connection.ts'
import { expectStatus } from '../load/path.ts'
import { dpopProof } from '../load/signing.ts'
import type { Target } from './target.ts'

export type Templates = {
  readonly accountAccess: string
  /** In the order of the creditors. */
  readonly payments: readonly { readonly consentId: string }[]
}

type Creditor = { readonly identification: string }

/** Lodges one account-access consent, and one payment consent for each creditor, as a third party does. */
export async function lodgeTemplates(
  target: Pick<Target, 'issuer' | 'resourceApi' | 'ca' | 'client'>,
  creditors: readonly Creditor[],
): Promise<Templates> {
  const token = await fetchToken(target)
  const connection = await openConnection(target.resourceApi, { ca: target.ca })
  const lodge = async (path: string, json: unknown) => {
    const answer = await connection.send(lodging(target, token, path, json))
    expectStatus(`POST ${path}`, 201, answer)
    return (JSON.parse(answer.body) as { Data: { ConsentId: string } }).Data.ConsentId
  }
  try {
    const accountAccess = await lodge('/open-banking/v4.0/aisp/account-access-consents', { Data: { Permissions: permissions }, Risk: {} })
    const payments: { consentId: string }[] = []
    for (const { identification } of creditors)
      payments.push({ consentId: await lodge('/open-banking/v4.0/pisp/domestic-payment-consents', paymentConsent(identification)) })
    return { accountAccess, payments }
  } finally {
    connection.close()
  }
}

async function fetchToken({ issuer, ca, client }: Pick<Target, 'issuer' | 'ca' | 'client'>): Promise<string> {
  const connection: Connection = await openConnection(issuer, { ca })
  const answer = await connection.send(
    formatRequest({
      method: 'POST',
      origin: issuer,
      path: '/token',
      headers: { dpop: dpopProof(client.proofKey, 'POST', `${issuer}/token`) },
      form: { grant_type: 'client_credentials', scope: 'accounts payments', ...authentication(client, issuer) },
    }),
  )
  connection.close()
  expectStatus('POST /token', 200, answer)
  return (JSON.parse(answer.body) as { access_token: string }).access_token
}

function lodging({ resourceApi, client }: Pick<Target, 'resourceApi' | 'client'>, token: string, path: string, json: unknown): string {
  return formatRequest({
    method: 'POST',
    origin: resourceApi,
    path,
    headers: {
      authorization: `DPoP ${token}`,
      dpop: dpopProof(client.proofKey, 'POST', `${resourceApi}${path}`, token),
      'x-idempotency-key': randomUUID(),
    },
    json,
  })
}

const permissions = ['ReadAccountsDetail', 'ReadBalances', 'ReadTransactionsCredits', 'ReadTransactionsDebits', 'ReadTransactionsDetail']

const paymentConsent = (identification: string) => ({
  Data: {
    Initiation: {
      InstructionIdentification: 'BENCH',
      EndToEndIdentification: 'BENCH.E2E',
      InstructedAmount: { Amount: '0.01', Currency: 'GBP' },
      CreditorAccount: { SchemeName: 'UK.OBIE.SortCodeAccountNumber', Identification: identification, Name: 'Bench' },
      RemittanceInformation: { Unstructured: ['Bench'] },
    },
  },
  Risk: {},
})
