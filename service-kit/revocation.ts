import type { X509Certificate } from 'node:crypto'
import { issuerAmong } from './certificate-issuer.ts'
import { type OcspOptions, openOcspAnswers } from './ocsp-answers.ts'
import { openRevocationLists, type RevocationLists, type RevocationListsOptions, type RevocationStatus } from './revocation-lists.ts'

/** Whether client certificates were taken back: their authority is asked about each, where it answers, and its lists are read. */
export type Revocation = Omit<RevocationLists, 'status'> & {
  /** What is known now, without waiting. */
  known(certificate: X509Certificate): RevocationStatus
  /** The same, once it is known; a promise only when somebody has to be asked first. */
  status(certificate: X509Certificate): RevocationStatus | Promise<RevocationStatus>
}

export type RevocationOptions = {
  readonly lists: RevocationListsOptions
  /** Without it, nobody is asked. */
  readonly ocsp?: Pick<OcspOptions, 'ask' | 'recall' | 'keep'> | undefined
}

/**
 * OCSP first, then the lists (CERT-04). Whoever says revoked is believed, and one that says good is enough; where neither says
 * anything now, those who were good are `stale` for as long as the bank lets them.
 */
export function openRevocation({ lists: listOptions, ocsp }: RevocationOptions): Revocation {
  const lists = openRevocationLists(listOptions)
  const { clock, log, staleAtMostMs } = listOptions
  const { issuerOf } = issuerAmong(listOptions.authorities)
  const isRevoked = (responder: X509Certificate) => lists.status(responder) === 'revoked'
  const answers = ocsp && openOcspAnswers({ ...ocsp, issuerOf, isRevoked, staleAtMostMs, clock, log })
  // Where there are no lists nobody says revoked by them; but where somebody is to be asked, silence is not good.
  const listed = (certificate: X509Certificate): RevocationStatus =>
    answers !== undefined && listOptions.urls.length === 0 ? 'unknown' : lists.status(certificate)
  const known = (certificate: X509Certificate) => strongest(answers?.known(certificate), listed(certificate))
  return {
    ...{ refresh: lists.refresh, complete: lists.complete, close: lists.close, known },
    status(certificate) {
      const waiting = answers?.ask(certificate)
      return waiting === undefined ? known(certificate) : waiting.then(() => known(certificate))
    },
  }
}

const order: readonly RevocationStatus[] = ['revoked', 'good', 'stale', 'unknown']
const strongest = (answered: RevocationStatus | undefined, listed: RevocationStatus): RevocationStatus =>
  order.find((status) => status === answered || status === listed) ?? 'unknown'
