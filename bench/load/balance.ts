import type { Confirmation, Target } from '../targets/target.ts'
import { formatRequest } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'
import { dpopProof } from './signing.ts'

/** As many customers read as there are connections; each has a token and an account of its own. */
const readersPerRound = 16

const pathOf = (accountId: string) => `/open-banking/v4.0/aisp/accounts/${accountId}/balances`

export const balanceWithDpop: Path = {
  ...balance(
    (target) => ({ ca: target.ca }),
    ({ client }) => [client.clientId, { jkt: client.proofKey.thumbprint }],
    (target, accessToken, path) => ({
      authorization: `DPoP ${accessToken}`,
      dpop: dpopProof(target.client.proofKey, 'GET', `${target.resourceApi}${path}`, accessToken),
    }),
  ),
  name: 'balance, DPoP',
  leastRatio: 3.3,
  consistsOf: 'GET /accounts/{id}/balances with a DPoP-bound token of an authorised consent and a new proof; 16 tokens take turns',
}

export const balanceWithCertificate: Path = {
  ...balance(
    ({ ca, certificateClient: { key, cert } }) => ({ ca, key, cert }),
    ({ certificateClient }) => [certificateClient.clientId, { 'x5t#S256': certificateClient.thumbprint }],
    (_target, accessToken) => ({ authorization: `Bearer ${accessToken}` }),
  ),
  name: 'balance, mTLS',
  leastRatio: 6.5,
  consistsOf: 'the same with a certificate-bound token over mutually authenticated TLS',
}

function balance(
  credentials: (target: Target) => ReturnType<Path['connects']>['credentials'],
  reads: (target: Target) => readonly [clientId: string, confirmation: Confirmation],
  headers: (target: Target, accessToken: string, path: string) => Record<string, string>,
): Pick<Path, 'connects' | 'prepare'> {
  return {
    connects: (target) => ({ origin: target.resourceApi, credentials: credentials(target) }),
    prepare: async (target, count) => {
      const readers = await target.authoriseReaders(readersPerRound, ...reads(target))
      const requests = Array.from({ length: count }, (_, index) => {
        const { accessToken, accountId } = readers[index % readers.length] ?? { accessToken: '', accountId: '' }
        const path = pathOf(accountId)
        return formatRequest({ method: 'GET', origin: target.resourceApi, path, headers: headers(target, accessToken, path) })
      })
      const answers: string[] = []
      return {
        perform: async (connection, index) => {
          const answer = await connection.send(requests[index] ?? '')
          expectStatus('GET balances', 200, answer)
          answers[index] = answer.body
        },
        check: () => answers.forEach((answer, index) => void checkBalance(answer, readers[index % readers.length]?.accountId)),
      }
    },
  }
}

type Balances = {
  readonly Data: { readonly Balance: readonly { readonly AccountId: string; readonly Amount: { readonly Amount: string } }[] }
}

function checkBalance(body: string, accountId: string | undefined): void {
  const { Data } = JSON.parse(body) as Balances
  const [first] = Data.Balance
  if (first?.AccountId !== accountId || !/^\d+\.\d{2}$/.test(first?.Amount.Amount ?? ''))
    throw new UnexpectedAnswer(`not the balance of ${accountId}: ${body.slice(0, 300)}`)
}
