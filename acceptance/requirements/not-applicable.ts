const ofClients = 'asked of third parties; the clients of our tests and demo keep to it, the server cannot'
const ofOperators = 'asked of whoever runs the names, networks and certificates of a deployment'
const ofResourceApi = 'asked of the resource APIs, not of the authorization server'
const ofPortal = 'asked of the developer portal, which is not part of this release'

/** Rows that no test of the authorization server can have, each with its reason. A row that has a test is not listed here. */
export const notApplicable: Readonly<Record<string, string>> = {
  'FAPI2-NET-04': ofOperators,
  'FAPI2-NET-11': ofOperators,
  'FAPI2-CL-03': ofClients,
  'FAPI2-CL-10': ofClients,
  'HSIG-01': 'optional: HTTP message signatures are a draft that is not offered',
  'HSIG-02': 'optional: HTTP message signatures are a draft that is not offered',
  'HSIG-03': 'optional: HTTP message signatures are a draft that is not offered',
  'HSIG-04': 'optional: HTTP message signatures are a draft that is not offered',
  'CIBA-11': ofClients,
  'CERT-16': ofOperators,
  'SBX-04': ofPortal,
  'SBX-05': ofPortal,
  'SBX-06': ofPortal,
  'SBX-07': ofPortal,
  D8: ofResourceApi,
  D9: ofResourceApi,
  D11: ofResourceApi,
  D12: ofResourceApi,
}
