import { randomUUID } from 'node:crypto'
import type { Confirmation, Target } from '../targets/target.ts'
import { formatRequest } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'
import { dpopProof } from './signing.ts'

const path = '/open-banking/v4.0/pisp/domestic-payments'

export const transfer: Path = {
  ...paying(
    (target) => ({ ca: target.ca }),
    ({ client }) => [client.clientId, { jkt: client.proofKey.thumbprint }],
    (target, accessToken) => ({
      authorization: `DPoP ${accessToken}`,
      dpop: dpopProof(target.client.proofKey, 'POST', `${target.resourceApi}${path}`, accessToken),
    }),
  ),
  name: 'transfer',
  consistsOf:
    'POST /domestic-payments with a new proof, a consent and a token of its own; consents and tokens are put in place before the clock starts',
}

/** As the UK profile has it. */
export const transferWithCertificate: Path = {
  ...paying(
    ({ ca, certificateClient: { key, cert } }) => ({ ca, key, cert }),
    ({ certificateClient }) => [certificateClient.clientId, { 'x5t#S256': certificateClient.thumbprint }],
    (_target, accessToken) => ({ authorization: `Bearer ${accessToken}` }),
  ),
  name: 'transfer, mTLS',
  consistsOf: 'the same with certificate-bound tokens over mutually authenticated TLS',
}

function paying(
  credentials: (target: Target) => ReturnType<Path['connects']>['credentials'],
  pays: (target: Target) => readonly [clientId: string, confirmation: Confirmation],
  headers: (target: Target, accessToken: string) => Record<string, string>,
): Pick<Path, 'connects' | 'prepare' | 'conclude'> {
  return {
    connects: (target) => ({ origin: target.resourceApi, credentials: credentials(target) }),
    prepare: async (target, count) => {
      const payments = await target.authorisePayments(count, ...pays(target))
      const requests = payments.map(({ accessToken, body }) =>
        formatRequest({
          method: 'POST',
          origin: target.resourceApi,
          path,
          headers: { ...headers(target, accessToken), 'x-idempotency-key': randomUUID() },
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
