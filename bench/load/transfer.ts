import { randomUUID } from 'node:crypto'
import { formatRequest } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'
import { boundByCertificate, boundByDpop, type TokenBinding } from './token-binding.ts'

const path = '/open-banking/v4.0/pisp/domestic-payments'

export const transfer: Path = {
  ...paying(boundByDpop),
  name: 'transfer',
  consistsOf:
    'POST /domestic-payments with a new proof, a consent and a token of its own; consents and tokens are put in place before the clock starts',
}

/** As the UK profile has it. */
export const transferWithCertificate: Path = {
  ...paying(boundByCertificate),
  name: 'transfer, mTLS',
  consistsOf: 'the same with certificate-bound tokens over mutually authenticated TLS',
}

function paying({ credentials, holder, headers }: TokenBinding): Pick<Path, 'connects' | 'prepare' | 'conclude'> {
  return {
    connects: (target) => ({ origin: target.resourceApi, credentials: credentials(target) }),
    prepare: async (target, count) => {
      const payments = await target.authorisePayments(count, ...holder(target))
      const requests = payments.map(({ accessToken, body }) =>
        formatRequest({
          method: 'POST',
          origin: target.resourceApi,
          path,
          headers: { ...headers(target, 'POST', path, accessToken), 'x-idempotency-key': randomUUID() },
          json: body,
        }),
      )
      const answers: string[] = []
      return {
        perform: async (connection, index) => {
          const answer = await connection.send(requests[index] ?? '')
          expectStatus('POST domestic-payments', 201, answer)
          answers.push(answer.body)
        },
        settle: target.settlePayments,
        check: () => {
          for (const answer of answers) checkAccepted(answer)
        },
      }
    },
    conclude: (target, operations) => target.checkBooks(operations),
  }
}

const accepted = new Set(['RCVD', 'PDNG', 'ACTC', 'ACSP', 'ACSC', 'ACCC'])

function checkAccepted(body: string): void {
  const { Data } = JSON.parse(body) as { Data?: { DomesticPaymentId?: string; Status?: string } }
  if (Data?.DomesticPaymentId === undefined || !accepted.has(Data.Status ?? ''))
    throw new UnexpectedAnswer(`a payment that was not accepted: ${body.slice(0, 300)}`)
}
