// Everything that `portcullis-client/service` exports: for a service in Node (or any runtime with WebCrypto) behind the edge.
export { EdgeProof, type EdgeCaller, type EdgeProofOptions } from "./edge-proof.js";
export { EdgeProofError, type EdgeProblem } from "./refusal.js";
export type { FetchRequest, NodeRequest } from "./request.js";
export { SeenHere, type Seen } from "./seen.js";
