const grid=$("grid");
// Of the program that served this page.
let version=null;
// Numbers the loads: what an earlier one brings late is another filter's.
let turn=0;
let mayMark=false,next=null,loading=false,at=-1,anchor=-1;
const frames=[],chosen=new Set();
const PAGE=100,BATCH=1000;
async function counts(){
 const told=await ask("marks");
 version??=told.version;mayMark=told.may_mark;
 if(version!==told.version){tell("this line was updated: reload the page");mayMark=false}
 const kinds=Object.entries(told.defect),defects=kinds.reduce((sum,[,count])=>sum+count,0);
 $("counts").textContent=told.good+" marked good, "+defects+" marked defect"+(kinds.length?" ("+kinds.map(([kind,count])=>kind+" "+count).join(", ")+")":"")+(told.folder?" · "+told.folder:"")+(told.may_mark?"":" · only to look at: marking needs status_page.control and the right to teach");
 const list=$("kinds");list.textContent="";
 for(const [kind] of kinds){const option=document.createElement("option");option.value=kind;list.append(option)}
 buttons();
}
function query(){
 const parameters=new URLSearchParams({limit:PAGE,kind:$("f-kind").value});
 const add=(name,value)=>{if(value!=="")parameters.set(name,value)};
 add("mark",$("f-mark").value);add("min_score",$("f-min").value);add("max_score",$("f-max").value);add("class",$("f-class").value.trim());
 for(const [name,id] of [["from","f-from"],["to","f-to"]])if($(id).value)add(name,new Date($(id).value).toISOString());
 return parameters;
}
async function load(fresh){
 if(loading&&!fresh)return;
 const mine=++turn;loading=true;
 if(fresh){frames.length=0;chosen.clear();grid.textContent="";at=anchor=-1;next=null;$("end").textContent="";$("more").hidden=true}
 try{
  const parameters=query();if(next)parameters.set("before",next);
  const page=await ask("events?"+parameters);
  // Another filter was chosen meanwhile.
  if(mine!==turn)return;
  next=page.next;
  for(const frame of page.events)add(frame);
  $("more").hidden=!next;
  $("end").textContent=next?frames.length+" frames so far":frames.length?"these are all: "+frames.length:"no frame was kept that fits";
  buttons();
  // A page may be empty and go on: what was looked for is rare.
  if(next&&!page.events.length&&mine===turn){loading=false;return load(false)}
 }catch(e){if(mine===turn){tell(e.message);$("more").hidden=!next}}
 if(mine===turn)loading=false;
}
function add(frame){
 const index=frames.length,li=document.createElement("li"),picture=frame.files?.original;
 frames.push(frame);
 li.setAttribute("role","option");li.setAttribute("aria-selected","false");li.tabIndex=index?-1:0;li.dataset.index=index;
 const img=document.createElement("img");img.loading="lazy";img.decoding="async";img.alt="";
 if(picture)source(img,picture);else img.alt="no picture was written";
 const text=document.createElement("div");
 li.append(img,text);frame.li=li;caption(frame);grid.append(li);
}
// A picture that finds all places taken is asked for again.
function source(img,name){
 let tries=0;
 img.onerror=()=>{if(++tries<6)setTimeout(()=>{img.src="events/"+name+"?"+tries},300*tries);else{img.removeAttribute("src");img.alt="this picture was deleted to stay within the budget"}};
 img.src="events/"+name;
}
function caption(frame){
 const text=frame.li.lastChild;text.textContent="";
 const part=(content,kind)=>{const span=document.createElement("span");span.textContent=content;if(kind)span.className=kind;text.append(span,document.createTextNode(" "))};
 part(frame.defect?"defect":"normal","word "+(frame.defect?"defect":"normal"));
 part("severity "+Number(frame.severity).toFixed(2)+" · score "+Number(frame.score).toFixed(4));
 if(frame.class)part(frame.class);
 if(frame.mark)part(frame.mark==="good"?"✓ good":"✗ "+frame.mark_kind,"tag "+(frame.mark==="good"?"good":"bad"));
 const time=document.createElement("div");time.className="soft";time.style.padding=0;time.textContent=new Date(frame.time).toLocaleString([],{hourCycle:"h23"});text.append(time);
}
function select(index,on){
 const frame=frames[index];if(!frame)return;
 if(on)chosen.add(frame);else chosen.delete(frame);
 frame.li.setAttribute("aria-selected",on);
}
function buttons(){
 const count=chosen.size;
 $("chosen").textContent=count?count+" selected":"none selected";
 for(const id of ["good","defect","none"])$(id).disabled=!count||!mayMark;
 $("enlarge").disabled=count!==1;
 $("all").textContent=count&&count===frames.length?"Select none":"Select all";
}
function focusAt(index){
 if(!frames.length)return;
 index=Math.max(0,Math.min(frames.length-1,index));
 if(at>=0&&frames[at])frames[at].li.tabIndex=-1;
 at=index;frames[at].li.tabIndex=0;frames[at].li.focus();frames[at].li.scrollIntoView({block:"nearest"});
 if(at>=frames.length-20&&next)load(false);
}
function range(from,to){for(let i=Math.min(from,to);i<=Math.max(from,to);i++)select(i,true)}
grid.onclick=event=>{
 const li=event.target.closest("li");if(!li)return;
 const index=+li.dataset.index;
 if(event.shiftKey&&anchor>=0)range(anchor,index);
 else{select(index,!chosen.has(frames[index]));anchor=index}
 focusAt(index);buttons();
};
grid.ondblclick=event=>{const li=event.target.closest("li");if(li)enlarge(+li.dataset.index)};
function enlarge(index){
 const frame=frames[index],name=frame?.files?.annotated||frame?.files?.original;if(!name)return;
 const img=$("large").querySelector("img");img.removeAttribute("src");source(img,name);img.alt="frame "+frame.frame;
 $("about").textContent=frame.frame+" · severity "+Number(frame.severity).toFixed(2)+" · score "+frame.score+" · threshold "+frame.threshold+(frame.cause?" · "+frame.cause:"");
 $("large").showModal();
}
grid.onkeydown=event=>{
 if(event.ctrlKey||event.metaKey||event.altKey)return;
 const columns=getComputedStyle(grid).gridTemplateColumns.split(" ").length;
 const step={ArrowLeft:-1,ArrowRight:1,ArrowUp:-columns,ArrowDown:columns,Home:-frames.length,End:frames.length}[event.key];
 const index=Math.max(0,at);
 if(step){
  if(event.shiftKey){if(anchor<0)anchor=index;focusAt(index+step);range(anchor,at)}else{focusAt(index+step);anchor=at}
 }else if(event.key===" "){select(index,!chosen.has(frames[index]));anchor=index}
 else if(event.key==="Enter")enlarge(index);
 else if(event.key==="Escape")all(false);
 else{
  const key=event.key.toLowerCase();
  // Nothing selected: the frame that has the focus is meant.
  if("gdu".includes(key)&&!chosen.size)select(index,true);
  if(key==="g")mark("good");else if(key==="d")mark("defect");else if(key==="u")mark("none");else if(key==="a")all(true);else return;
 }
 event.preventDefault();buttons();
};
function all(on){frames.forEach((frame,index)=>select(index,on));buttons()}
$("all").onclick=()=>all(chosen.size!==frames.length);
$("enlarge").onclick=()=>{const [frame]=chosen;if(frame)enlarge(frames.indexOf(frame))};
async function mark(what){
 if(!mayMark||!chosen.size)return;
 const kind=$("kind").value.trim();
 if(what==="defect"&&!$("kind").checkValidity()||what==="defect"&&!kind){tell("a kind of defect has letters, digits and -_ only");$("kind").focus();return}
 const wanted=[...chosen].filter(frame=>frame.files?.original);
 if(!wanted.length){tell("no picture of these frames was written");return}
 mayMark=false;buttons();
 let done=0;
 try{
  for(let from=0;from<wanted.length;from+=BATCH){
   const batch=wanted.slice(from,from+BATCH);
   const body={files:batch.map(frame=>frame.files.original),mark:what};if(what==="defect")body.kind=kind;
   const told=await post("marks",version,body);
   const missing=new Set(told.missing);
   for(const frame of batch){
    if(missing.has(frame.files.original))continue;
    frame.mark=what==="none"?undefined:what;frame.mark_kind=kind;caption(frame);select(frames.indexOf(frame),false);done++;
   }
   if(told.missing.length)throw new Error(done+" frames were marked; "+told.missing.length+" pictures were deleted to stay within the budget");
  }
  tell(done+(done===1?" frame":" frames")+(what==="none"?" not marked any more":" marked "+(what==="good"?"good":kind)),true);
 }catch(e){tell(e.message)}
 // The next mark may be given while the counts are still asked for, and after a moment without the board.
 mayMark=true;buttons();
 // Keys go on where they were: a button that is disabled now would keep them.
 if(at>=0)focusAt(at);
 try{await counts()}catch(e){tell(e.message)}
}
$("good").onclick=()=>mark("good");$("defect").onclick=()=>mark("defect");$("none").onclick=()=>mark("none");
$("filter").onsubmit=event=>{event.preventDefault();tell("");load(true)};
$("filter").onchange=event=>{if(event.target.tagName==="SELECT"){tell("");load(true)}};
$("more").onclick=()=>load(false);
new IntersectionObserver(seen=>{if(seen.some(one=>one.isIntersecting)&&next)load(false)},{rootMargin:"800px"}).observe($("end"));
counts().then(()=>load(true)).catch(e=>tell(e.message));
