import { useQuery } from "@tanstack/react-query";
import { useId, useMemo, useState, type KeyboardEvent, type ReactNode } from "react";

import { apiUrl, getJson } from "../api/client.ts";
import { useMe } from "../api/me.ts";
import { useQueueNames } from "../api/queues.ts";
import type { Page } from "../api/types.ts";
import { useViews } from "../api/views.ts";
import { filterToSearch, NO_FILTER } from "../live/filter.ts";
import { jobPlace, queuePlace } from "../parts/addresses.ts";
import { Dialog } from "./Dialog.tsx";
import { goTo, useEnvs } from "./envs.ts";
import { found, isJobId, type Choice } from "./finder.ts";
import { usePageActions } from "./pageActions.ts";
import { Icon } from "./icons.tsx";
import { pageOf, PAGES } from "./pages.ts";
import { addressOf, navigate } from "./router.ts";
import { chooseTheme, THEMES } from "./theme.ts";
import { useSettled } from "./useSettled.ts";
import { placeOfView } from "./views.ts";

const MOST_OF_A_GROUP = 8;

interface FoundJob {
  source: string;
  queue: string;
  job_id: string;
  job_name: string;
  state: string;
}

interface PaletteProps {
  close: () => void;
  openHelp: () => void;
  openSave: () => void;
}

/** Finds a page, a queue, a job by its id, or something the page can do; on a phone it is the menu. */
export default function Palette({ close, openHelp, openSave }: PaletteProps): ReactNode {
  const [typed, setTyped] = useState("");
  const [chosenId, setChosenId] = useState<string | null>(null);
  const listId = useId();
  const fixed = useFixedChoices(openHelp, openSave);
  const jobs = useJobChoices(typed);
  // Jobs come later than the others: below them, they move nothing that somebody is about to press.
  const choices = useMemo(() => [...found(fixed, typed, MOST_OF_A_GROUP), ...jobs.choices], [jobs, fixed, typed]);
  const active = choices.find(({ id }) => id === chosenId) ?? choices[0];
  if (active !== undefined && active.id !== chosenId) setChosenId(active.id);

  const take = (choice: Choice): void => {
    close();
    choice.run();
  };

  const press = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" && active) take(active);
    else if (step && active) {
      const next = choices.at((choices.indexOf(active) + step) % choices.length);
      setChosenId(next?.id ?? null);
    } else return;
    event.preventDefault();
  };

  return (
    <Dialog title="Go to" close={close} className="palette" isBare>
      <div className="palette-head">
        <input
          type="text"
          className="palette-input"
          role="combobox"
          aria-label="Page, queue, job or action"
          aria-expanded="true"
          aria-controls={listId}
          aria-activedescendant={active && `${listId}-${choices.indexOf(active)}`}
          placeholder="Page, queue, job id or action"
          data-testid="palette-input"
          autoComplete="off"
          spellCheck={false}
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setChosenId(null);
          }}
          onKeyDown={press}
        />
        <button type="button" className="icon-button" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      <div className="palette-list" id={listId} role="listbox" aria-label="Found">
        {choices.map((choice, index) => (
          <PaletteRow
            key={choice.id}
            id={`${listId}-${index}`}
            choice={choice}
            isFirst={choices[index - 1]?.group !== choice.group}
            isChosen={choice === active}
            take={() => take(choice)}
          />
        ))}
      </div>
      <p className="palette-none" role="status">
        {jobs.note || (choices.length === 0 && "Nothing has this name. A job is found by its whole id.")}
      </p>
    </Dialog>
  );
}

interface PaletteRowProps {
  id: string;
  choice: Choice;
  isFirst: boolean;
  isChosen: boolean;
  take: () => void;
}

function PaletteRow({ id, choice, isFirst, isChosen, take }: PaletteRowProps): ReactNode {
  return (
    <div
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={isChosen}
      className="palette-row"
      data-first={isFirst}
      ref={(row) => {
        if (isChosen) row?.scrollIntoView({ block: "nearest" });
      }}
      onClick={take}
      onKeyDown={(event) => event.key === "Enter" && take()}
    >
      <span className="palette-group">{isFirst && choice.group}</span>
      <bdi className="palette-name">{choice.name}</bdi>
      {choice.about && <span className="palette-about">{choice.about}</span>}
    </div>
  );
}

/** Everything but jobs, which have to be asked for. */
function useFixedChoices(openHelp: () => void, openSave: () => void): Choice[] {
  const actions = usePageActions();
  const envs = useEnvs();
  const { data: queues } = useQueueNames();
  const { data: me } = useMe();
  const { data: views } = useViews();
  return useMemo(() => {
    const pages = PAGES.filter((page) => page.isAlone).map((page): Choice => ({
      id: `page ${page.path}`,
      group: "Pages",
      name: page.name,
      about: page.about,
      run: () => goTo(page.path),
    }));
    const items = (queues?.items ?? []).filter((item) => envs.length === 0 || envs.includes(item.env ?? ""));
    const ofQueues = items.map((item): Choice => ({
      id: `queue ${item.source} ${item.queue}`,
      group: "Queues",
      name: item.queue,
      about: [item.source, item.env].filter(Boolean).join(" · "),
      run: () => openQueue(item.source, item.queue),
    }));
    const ofPage = actions.map(({ name, run }): Choice => ({ id: `action ${name}`, group: "On this page", name, run }));
    const ofViews = (views ?? []).map((view): Choice => {
      const { path, search } = placeOfView(view);
      return {
        id: `view ${view.id}`,
        group: "Views",
        name: view.title,
        about: view.query,
        run: () => navigate(path, search),
      };
    });
    const save: Choice = { id: "save view", group: "Views", name: "Save this view…", run: openSave };
    const canSave = me?.has_bot === true;
    return [
      ...ofPage,
      ...pages,
      ...ofViews,
      ...(canSave ? [save] : []),
      ...ofQueues,
      ...ofTocsin(openHelp, me?.can_log_out === true),
    ];
  }, [actions, envs, queues, views, me, openHelp, openSave]);
}

function ofTocsin(openHelp: () => void, canLogOut: boolean): Choice[] {
  const group = "Tocsin";
  const themes = THEMES.map((theme): Choice => ({
    id: `theme ${theme}`,
    group,
    name: `Colours: ${theme === "system" ? "as the system" : theme}`,
    run: () => chooseTheme(theme),
  }));
  const out: Choice = { id: "logout", group, name: "Log out", run: () => location.assign(addressOf("logout")) };
  return [{ id: "help", group, name: "Show the keys", run: openHelp }, ...themes, ...(canLogOut ? [out] : [])];
}

/** The jobs with exactly this id, in whatever queue. note: that they are being asked for, or why they cannot be had. */
function useJobChoices(typed: string): { choices: Choice[]; note: string } {
  const id = useSettled(typed).trim();
  const { data, error, isFetching } = useQuery({
    queryKey: ["jobs by id", id],
    queryFn: ({ signal }) => getJson<Page<FoundJob>>(apiUrl("jobs", { id, limit: "5" }), signal),
    enabled: isJobId(id),
    retry: false,
    staleTime: 10_000,
  });
  const isAsking = isJobId(typed) && (isFetching || id !== typed.trim());
  const note = isAsking
    ? "Looking for a job of this id…"
    : error
      ? `Jobs cannot be had just now: ${error.message}.`
      : "";
  return useMemo(() => {
    const choices = (data?.items ?? []).map((job): Choice => ({
      id: `job ${job.source} ${job.queue} ${job.job_id}`,
      group: "Jobs",
      name: job.job_id,
      about: [job.job_name, job.queue, job.state].filter(Boolean).join(" · "),
      run: () => openJob(job),
    }));
    return { choices, note };
  }, [data, note]);
}

function openQueue(source: string, queue: string): void {
  if (pageOf("queue")) goTo(queuePlace(source, queue).path);
  else goTo("logs", filterToSearch({ ...NO_FILTER, source: [source], queue: [queue] }));
}

function openJob(job: FoundJob): void {
  const { source, queue, job_id: id } = job;
  if (pageOf("job")) goTo(jobPlace(job).path);
  else goTo("logs", filterToSearch({ ...NO_FILTER, source: [source], queue: [queue], job_id: [id] }));
}
