import { formatRequest } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'
import { boundByCertificate, boundByDpop, type TokenBinding } from './token-binding.ts'

/** As many customers read as there are connections; each has a token and an account of its own. */
const readersPerRound = 16

const pathOf = (accountId: string) => `/open-banking/v4.0/aisp/accounts/${accountId}/balances`

export const balanceWithDpop: Path = {
  ...balance(boundByDpop),
  name: 'balance, DPoP',
  leastRatio: 3.3,
  consistsOf: 'GET /accounts/{id}/balances with a DPoP-bound token of an authorised consent and a new proof; 16 tokens take turns',
}

export const balanceWithCertificate: Path = {
  ...balance(boundByCertificate),
  name: 'balance, mTLS',
  leastRatio: 6.5,
  consistsOf: 'the same with a certificate-bound token over mutually authenticated TLS',
}

function balance({ credentials, holder, headers }: TokenBinding): Pick<Path, 'connects' | 'prepare'> {
  return {
    connects: (target) => ({ origin: target.resourceApi, credentials: credentials(target) }),
    prepare: async (target, count) => {
      const readers = await target.authoriseReaders(readersPerRound, ...holder(target))
      const requests = Array.from({ length: count }, (_, index) => {
        const { accessToken, accountId } = readers[index % readers.length] ?? { accessToken: '', accountId: '' }
        const path = pathOf(accountId)
        return formatRequest({ method: 'GET', origin: target.resourceApi, path, headers: headers(target, 'GET', path, accessToken) })
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
