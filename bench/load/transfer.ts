import { randomUUID } from 'node:crypto'
import { formatRequest } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'
import { dpopProof } from './signing.ts'

const path = '/open-banking/v4.0/pisp/domestic-payments'

export const transfer: Path = {
  name: 'transfer',
  consistsOf:
    'POST /domestic-payments with a new proof, a consent and a token of its own; consents and tokens are put in place before the clock starts',
  connects: ({ resourceApi, ca }) => ({ origin: resourceApi, credentials: { ca } }),
  prepare: async (target, count) => {
    const { clientId, proofKey } = target.client
    const payments = await target.authorisePayments(count, clientId, { jkt: proofKey.thumbprint })
    const requests = payments.map(({ accessToken, body }) =>
      formatRequest({
        method: 'POST',
        origin: target.resourceApi,
        path,
        headers: {
          authorization: `DPoP ${accessToken}`,
          dpop: dpopProof(proofKey, 'POST', `${target.resourceApi}${path}`, accessToken),
          'x-idempotency-key': randomUUID(),
        },
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

const accepted = new Set(['RCVD', 'PDNG', 'ACTC', 'ACSP', 'ACSC', 'ACCC'])

function checkAccepted(body: string): void {
  const { Data } = JSON.parse(body) as { Data?: { DomesticPaymentId?: string; Status?: string } }
  if (Data?.DomesticPaymentId === undefined || !accepted.has(Data.Status ?? ''))
    throw new UnexpectedAnswer(`a payment that was not accepted: ${body.slice(0, 300)}`)
}
