import { useState, type ReactNode } from "react";

import { useJob, type Child, type Job, type JobName } from "../../api/jobs.ts";
import { counted } from "../../format/count.ts";
import { jobPlace } from "../../parts/addresses.ts";
import { StateBadge } from "../../parts/StateBadge.tsx";
import { Link } from "../../shell/Link.tsx";

/** The job's flow as a tree: who waits for it, itself, and whom it waited for; further down on demand. */
export function Family({ job }: { job: Job }): ReactNode {
  if (job.parent_job === null && job.children.length === 0) return null;
  const mine = (
    <li>
      <Member job={job} name={job.job_name} state={job.state} isHere />
      <Children of={job.children} />
    </li>
  );
  return (
    <section className="family" aria-label="Parent and children" data-testid="job-family">
      <h3>Flow</h3>
      <ul className="tree">{job.parent_job ? <Parent name={job.parent_job}>{mine}</Parent> : mine}</ul>
      {job.children.length > 1 && <p className="family-sum">{childSum(job.children)}</p>}
    </section>
  );
}

/** A job may have a parent of another run; its newest is meant. */
function Parent({ name, children }: { name: JobName; children: ReactNode }): ReactNode {
  const { data: parent } = useJob(name);
  return (
    <li>
      <Member job={name} name={parent?.job_name ?? ""} state={parent?.state ?? ""} />
      <ul>{children}</ul>
    </li>
  );
}

function Children({ of }: { of: readonly Child[] }): ReactNode {
  if (of.length === 0) return null;
  return (
    <ul>
      {of.map((child) => (
        <li key={`${child.source}/${child.queue}/${child.job_id}`}>
          <ChildNode child={child} />
        </li>
      ))}
    </ul>
  );
}

function ChildNode({ child }: { child: Child }): ReactNode {
  const [isOpen, setOpen] = useState(false);
  const { data, isPending } = useJob(child, "", isOpen);
  return (
    <>
      <Member job={child} name={child.job_name} state={child.state}>
        <button type="button" className="link-button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {isOpen ? "less" : "its children"}
        </button>
      </Member>
      {isOpen && isPending && <p className="family-sum">Looking…</p>}
      {isOpen && data?.children.length === 0 && <p className="family-sum">It waited for none.</p>}
      {isOpen && data && <Children of={data.children} />}
    </>
  );
}

interface MemberProps {
  job: JobName;
  name: string;
  state: string;
  isHere?: boolean;
  children?: ReactNode;
}

function Member({ job, name, state, isHere = false, children }: MemberProps): ReactNode {
  const words = (
    <>
      <bdi>{name || "job"}</bdi> <bdi className="job-id">#{job.job_id}</bdi>
    </>
  );
  return (
    <span className="member" aria-current={isHere ? "page" : undefined}>
      {isHere ? <strong>{words}</strong> : <Link {...jobPlace(job)}>{words}</Link>}
      <bdi className="member-queue">{job.queue}</bdi>
      {state !== "" && <StateBadge state={state} />}
      {children}
    </span>
  );
}

function childSum(children: readonly Child[]): string {
  const counts = new Map<string, number>();
  for (const { state } of children) counts.set(state, (counts.get(state) ?? 0) + 1);
  const told = [...counts].map(([state, number]) => `${number} ${state.replaceAll("-", " ")}`).join(", ");
  return `${counted(children.length, "child", "children")}: ${told}`;
}
